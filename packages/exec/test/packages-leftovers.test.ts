import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { depsHash } from "@maia/domain";
import { aDepot, Workshop } from "./kit.js";
import { NpmRegistry } from "./npm-registry.js";

const ENGINE = fileURLToPath(new URL("./engine.mjs", import.meta.url));
const DEPS = {
  npm: { one: "1.0.0" },
  python: [],
  lock: null,
  hash: depsHash({ npm: { one: "1.0.0" }, python: [] }, null),
};

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "maia-exec-"));
});
afterEach(() => {
  for (const folder of [root, `${root}-deps`])
    rmSync(folder, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 });
});

const at = (...names: string[]) => join(`${root}-deps`, ...names);
const executors = () => readdirSync(root).filter((name) => /^x\w+$/.test(name));

/** Has an executor start in a process of its own, and kills it. @returns its id */
async function aDeadExecutor(workshop: Workshop): Promise<string> {
  const others = executors();
  const setup = { root, isolation: "auto", leaseTtlMs: 15_000, script: "echo up; sleep 60", deps: aDepot(at()) };
  const env = {
    ENGINE: JSON.stringify({ ...setup, task: workshop.task("shell", "") }),
    PATH: "/usr/local/bin:/usr/bin:/bin",
  };
  const engine = spawn(process.execPath, [ENGINE], { env, stdio: ["ignore", "pipe", "inherit"] });
  await once(engine.stdout, "data");
  const id = executors().find((name) => !others.includes(name))!;
  engine.kill("SIGKILL");
  await once(engine, "exit");
  return id;
}

async function install(workshop: Workshop): Promise<void> {
  const { exit } = await workshop.run(workshop.task("node", "", { kind: "deps", deps: DEPS }));
  expect({ reason: exit.reason, error: exit.error }).toEqual({ reason: "exited", error: null });
}

describe("what an executor that was killed has left of packages", () => {
  it("holds up nobody, though it died when it had made a lock and not yet said whose it is (F69)", async () => {
    await using registry = await NpmRegistry.open();
    registry.publish("one", { version: "1.0.0" });
    mkdirSync(at("locks"), { recursive: true });
    writeFileSync(at("locks", `install-${DEPS.hash}`), "");
    await using workshop = await Workshop.open("auto", { root }, { npmRegistry: registry.url });
    await install(workshop);
    expect(readdirSync(at("locks"))).toEqual([]);
  });

  it("is cleared when the next one opens, and what belongs to one that lives stays (F15)", async () => {
    await using alive = await Workshop.open("auto", { root });
    const [id] = executors();
    const dead = await aDeadExecutor(alive);
    for (const owner of [dead, id!]) {
      mkdirSync(at("moving", `${owner}-0a1b2c`, "node_modules"), { recursive: true });
      for (const kind of ["install", "set"]) symlinkSync(join(root, owner), at("locks", `${kind}-${owner}`));
      symlinkSync(join(root, owner), at("uses", `some-set.${owner}`));
    }
    await using registry = await NpmRegistry.open();
    registry.publish("one", { version: "1.0.0" });
    await using next = await Workshop.open("auto", { root }, { npmRegistry: registry.url });
    expect(readdirSync(at("moving"))).toEqual([`${id}-0a1b2c`]);
    expect(readdirSync(at("locks")).sort()).toEqual([`install-${id}`, `set-${id}`]);
    expect(readdirSync(at("uses"))).toEqual([`some-set.${id}`]);
    expect(readdirSync(at("executors")).sort()).toEqual(executors().sort());
    await install(next);
  });
});
