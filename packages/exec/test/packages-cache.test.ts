import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "@jest/globals";
import { depsHash } from "@maia/domain";
import type { TaskDeps } from "@maia/runner-protocol";
import { aDepot, until, Workshop } from "./kit.js";
import { NpmRegistry } from "./npm-registry.js";

const ENGINE = fileURLToPath(new URL("./engine.mjs", import.meta.url));
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0))
    rmSync(folder, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 });
});

/** A folder that several executors of a test share. */
function shared(): string {
  const root = mkdtempSync(join(tmpdir(), "maia-exec-"));
  folders.push(root, `${root}-deps`);
  return root;
}

function depsOf(npm: Record<string, string>, lock: string | null): TaskDeps {
  const dependencies = { npm, python: [] };
  return { ...dependencies, lock, hash: depsHash(dependencies, lock) };
}

async function pinned(workshop: Workshop, npm: Record<string, string>): Promise<TaskDeps> {
  const { exit, artifacts } = await workshop.run(workshop.task("node", "", { kind: "deps", deps: depsOf(npm, null) }));
  expect(exit.error).toBeNull();
  return depsOf(npm, workshop.kept.get(artifacts[0]!.sha256)!.toString());
}

async function registryOf(...names: string[]): Promise<NpmRegistry> {
  const registry = await NpmRegistry.open();
  for (const name of names) registry.publish(name, { version: "1.0.0" });
  return registry;
}

const has = ({ depsRoot }: Workshop, { hash }: TaskDeps) =>
  readdirSync(`${depsRoot}/sets`).some((name) => name.startsWith(hash));

const HOLD = `import one from "one"; import fs from "node:fs";
  export default async (ctx) => {
    console.log("up");
    await new Promise((done) => ctx.signal.addEventListener("abort", done));
    return { found: (await import("one/package.json", { with: { type: "json" } })).default.version };
  };`;

describe("the cache of packages", () => {
  it("lets go of what was used longest ago, and never of what is in use", async () => {
    await using registry = await registryOf("one", "two", "three");
    await using workshop = await Workshop.open("auto", {}, { npmRegistry: registry.url, cacheBytes: 1 });
    const one = await pinned(workshop, { one: "1.0.0" });
    const holding = workshop.task("node", HOLD, { deps: one });
    const lines: string[] = [];
    const held = (async () => {
      for await (const frames of workshop.executor.start(holding, workshop.find))
        for (const frame of frames) if (frame.type === "log") lines.push(frame.line);
    })();
    await until(() => lines.includes("up"));
    const two = await pinned(workshop, { two: "1.0.0" });
    await until(() => !has(workshop, two));
    expect(has(workshop, one)).toBe(true);
    await workshop.executor.cancel(holding.attemptId, "stop");
    await held;
    await until(() => !has(workshop, one));
  });

  it("keeps what it has room for, and the younger before the older", async () => {
    await using registry = await registryOf("one", "two", "three");
    const root = shared();
    const sets: TaskDeps[] = [];
    {
      await using workshop = await Workshop.open("auto", { root }, { npmRegistry: registry.url });
      for (const name of ["one", "two", "three"]) sets.push(await pinned(workshop, { [name]: "1.0.0" }));
      const script = 'import "one"; export default () => ({})';
      await workshop.run(workshop.task("node", script, { deps: sets[0]! }));
      expect(sets.map((set) => has(workshop, set))).toEqual([true, true, true]);
    }
    const bytes = 2 * sizeOfOne(`${root}-deps`);
    await using workshop = await Workshop.open("auto", { root }, { npmRegistry: registry.url, cacheBytes: bytes });
    await until(() => !has(workshop, sets[1]!));
    expect(sets.map((set) => has(workshop, set))).toEqual([true, false, true]);
  });

  it("is shared by executors: what one uses, another does not remove, and what one installs, another waits for (G20)", async () => {
    await using registry = await registryOf("one", "two");
    const root = shared();
    await using user = await Workshop.open("auto", { root }, { npmRegistry: registry.url });
    const one = await pinned(user, { one: "1.0.0" });
    const holding = user.task("node", HOLD, { deps: one });
    const lines: string[] = [];
    const held = (async () => {
      for await (const frames of user.executor.start(holding, user.find))
        for (const frame of frames) if (frame.type === "log") lines.push(frame.line);
    })();
    await until(() => lines.includes("up"));
    await using other = await Workshop.open("auto", { root }, { npmRegistry: registry.url, cacheBytes: 1 });
    const two = await pinned(other, { two: "1.0.0" });
    await until(() => !has(other, two));
    expect(has(user, one)).toBe(true);
    await user.executor.cancel(holding.attemptId, "stop");
    await held;

    const before = registry.asked.filter((path) => path.endsWith(".tgz")).length;
    registry.hold();
    const tasks = [user, other].map((workshop) =>
      workshop.run(workshop.task("node", 'import "two"; export default () => ({ fine: true })', { deps: two })),
    );
    await until(() => registry.asked.length > before);
    registry.release();
    const outcomes = await Promise.all(tasks);
    expect(outcomes.map(({ output }) => output)).toEqual([{ fine: true }, { fine: true }]);
    expect(registry.asked.filter((path) => path.endsWith(".tgz"))).toHaveLength(before + 1);
  });

  it("holds nothing half, and no lock, when the whole executor is killed while it installs (F69)", async () => {
    await using registry = await registryOf("one");
    const root = shared();
    const deps = depsOf({ one: "1.0.0" }, null);
    let task: object;
    {
      await using workshop = await Workshop.open("auto", { root });
      task = workshop.task("node", "", { kind: "deps", deps });
    }
    registry.hold();
    const options = aDepot(`${root}-deps`, { npmRegistry: registry.url });
    const setup = { root, isolation: "auto", leaseTtlMs: 15_000, script: "", task, deps: options };
    const env = { ENGINE: JSON.stringify(setup), PATH: "/usr/local/bin:/usr/bin:/bin" };
    const engine = spawn(process.execPath, [ENGINE], { env, stdio: ["ignore", "ignore", "inherit"] });
    await until(() => registry.asked.length > 0, 30_000);
    engine.kill("SIGKILL");
    await new Promise((resolve) => engine.once("exit", resolve));
    expect(readdirSync(`${root}-deps/sets`)).toEqual([]);
    registry.release();
    await using workshop = await Workshop.open("auto", { root }, { npmRegistry: registry.url });
    expect(has(workshop, await pinned(workshop, { one: "1.0.0" }))).toBe(true);
    expect(readdirSync(`${root}-deps/moving`)).toEqual([]);
  });
});

/** What one of several sets of the same size takes, in bytes. */
function sizeOfOne(root: string): number {
  let bytes = 0;
  const [set] = readdirSync(`${root}/sets`);
  const folder = `${root}/sets/${set}`;
  for (const name of ["", ...(readdirSync(folder, { recursive: true }) as string[])])
    bytes += statSync(join(folder, name)).blocks * 512;
  return bytes;
}
