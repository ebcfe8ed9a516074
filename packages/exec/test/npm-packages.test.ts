import { existsSync, readdirSync } from "node:fs";
import { describe, expect, it } from "@jest/globals";
import { depsHash } from "@maia/domain";
import type { Task, TaskDeps } from "@maia/runner-protocol";
import { levelsHere, type Outcome, until, Workshop } from "./kit.js";
import { NpmRegistry } from "./npm-registry.js";

const levels = await levelsHere();
const IMPORTS = `import one from "one"; export default () => ({ one });`;
const RANGE = { one: "^1.0.0" };

/** A map of npm packages, with its lock where there is one. */
function depsOf(npm: Record<string, string>, lock: string | null = null, allowScripts?: string[]): TaskDeps {
  const dependencies = { npm, python: [], ...(allowScripts ? { allowScripts } : {}) };
  return { ...dependencies, lock, hash: depsHash(dependencies, lock) };
}

function installing(workshop: Workshop, deps: TaskDeps, changes: object = {}): Task {
  return workshop.task("node", "", { kind: "deps", deps, ...changes });
}

function lockOf(workshop: Workshop, { artifacts }: Outcome): string {
  return workshop.kept.get(artifacts.find(({ name }) => name === "lock.json")!.sha256)!.toString();
}

/** Installs and gives back what pins it. */
async function pinned(workshop: Workshop, npm: Record<string, string>, allowScripts?: string[]): Promise<TaskDeps> {
  const outcome = await workshop.run(installing(workshop, depsOf(npm, null, allowScripts)));
  expect(outcome.exit.error).toBeNull();
  return depsOf(npm, lockOf(workshop, outcome), allowScripts);
}

/** The sets on a host, and what is on its way to be one. */
function setsOf({ depsRoot }: Workshop): { sets: string[]; moving: string[] } {
  return { sets: readdirSync(`${depsRoot}/sets`), moving: readdirSync(`${depsRoot}/moving`) };
}

const tarballs = ({ asked }: NpmRegistry) => asked.filter((path) => path.endsWith(".tgz")).length;

async function registryOf(...versions: string[]): Promise<NpmRegistry> {
  const registry = await NpmRegistry.open();
  for (const version of versions) registry.publish("one", { version });
  return registry;
}

describe.each(levels)("npm packages at the level %s", (level) => {
  const open = ({ url }: NpmRegistry) => Workshop.open(level, { poolSize: 1 }, { npmRegistry: url });

  it("are resolved once, pinned by a lock, and found by fresh, reused and shell steps (G20)", async () => {
    await using registry = await NpmRegistry.open();
    registry.publish("two", { version: "2.0.0" });
    registry.publish("one", {
      version: "1.0.0",
      dependencies: { two: "^2.0.0" },
      main: "exports.two = require('two');",
    });
    await using workshop = await open(registry);
    const installed = await workshop.run(installing(workshop, depsOf(RANGE)));
    expect(installed.exit).toMatchObject({ exitCode: 0, reason: "exited", error: null });
    expect(installed.lines("system")).toContain("npm install: 1 package");
    const deps = depsOf(RANGE, lockOf(workshop, installed));
    expect(installed.output).toEqual({ hash: deps.hash });

    const step = await workshop.run(workshop.task("node", IMPORTS, { deps }));
    expect(step.output).toEqual({ one: { two: { name: "two", version: "2.0.0" } } });
    const shell = `node -p 'JSON.stringify(require("one"))' > "$MAIA_OUTPUT_PATH"`;
    const byShell = await workshop.run(workshop.task("shell", shell, { deps }));
    expect({ one: byShell.output }).toEqual(step.output);
    const reused = { deps, reuseKey: "version/environment" };
    for (let round = 0; round < 2; round++)
      expect((await workshop.run(workshop.task("node", IMPORTS, reused))).output).toEqual(step.output);
    expect(tarballs(registry)).toBe(2);
  });

  it("cannot be changed by a step", async () => {
    await using registry = await registryOf("1.0.0");
    await using workshop = await open(registry);
    const deps = await pinned(workshop, RANGE);
    const script = `
      import fs from "node:fs"; import { createRequire } from "node:module";
      const file = createRequire(import.meta.url).resolve("one");
      export default () => {
        try { fs.writeFileSync(file, "module.exports = 'changed'"); return { wrote: true }; } catch (error) { return { wrote: error.code }; }
      };`;
    const { output } = await workshop.run(workshop.task("node", script, { deps }));
    expect(output!.wrote).not.toBe(true);
  });

  it("are complete or absent when the process that installs them is killed (F69)", async () => {
    await using registry = await registryOf("1.0.0");
    await using workshop = await open(registry);
    registry.hold();
    const outcome = workshop.run(installing(workshop, depsOf(RANGE)));
    await until(() => registry.asked.length > 0);
    for (const pid of workshop.helpers()) process.kill(pid, "SIGKILL");
    expect((await outcome).exit.reason).toBe("lost");
    expect(setsOf(workshop)).toEqual({ sets: [], moving: [] });
    registry.release();
    await pinned(workshop, RANGE);
    expect(existsSync(`${workshop.depsRoot}/sets/${setsOf(workshop).sets[0]}/node_modules/one/index.js`)).toBe(true);
  });
});

describe("npm packages", () => {
  const open = ({ url }: NpmRegistry) => Workshop.open("auto", {}, { npmRegistry: url });

  it("are installed once, however many ask at the same time, and in the log of each (G20)", async () => {
    await using registry = await registryOf("1.0.0");
    await using first = await open(registry);
    const deps = await pinned(first, RANGE);
    await using workshop = await open(registry);
    const before = tarballs(registry);
    const tasks = Array.from({ length: 4 }, () => workshop.task("node", IMPORTS, { deps }));
    const outcomes = await Promise.all(tasks.map((task) => workshop.run(task)));
    for (const outcome of outcomes) {
      expect(outcome.output).toEqual({ one: { name: "one", version: "1.0.0" } });
      expect(outcome.lines("system")).toContain("npm ci: 1 package");
    }
    expect(tarballs(registry) - before).toBe(1);
    expect(setsOf(workshop)).toMatchObject({ sets: [expect.stringContaining(deps.hash)], moving: [] });
  });

  it("of a lock stay what they are when newer ones are published (G20)", async () => {
    await using registry = await registryOf("1.0.0");
    await using first = await open(registry);
    const deps = await pinned(first, RANGE);
    registry.publish("one", { version: "1.2.0" });
    await using second = await open(registry);
    const { output } = await second.run(second.task("node", IMPORTS, { deps }));
    expect(output).toEqual({ one: { name: "one", version: "1.0.0" } });
  });

  it("come without their install scripts running, save for those that the version names (S16)", async () => {
    await using registry = await NpmRegistry.open();
    const scripts = { postinstall: `node -e "require('fs').writeFileSync('built.json', '{}')"` };
    const main = "module.exports = require('fs').existsSync(__dirname + '/built.json');";
    for (const name of ["one", "two"]) registry.publish(name, { version: "1.0.0", main, scripts });
    await using workshop = await open(registry);
    const npm = { one: "1.0.0", two: "1.0.0" };
    const script = `import one from "one"; import two from "two"; export default () => ({ one, two });`;
    const none = await pinned(workshop, npm);
    expect((await workshop.run(workshop.task("node", script, { deps: none }))).output).toEqual({
      one: false,
      two: false,
    });
    const some = await pinned(workshop, npm, ["two"]);
    expect((await workshop.run(workshop.task("node", script, { deps: some }))).output).toEqual({
      one: false,
      two: true,
    });
  });

  it("that cannot be had end the attempt with the tool's last lines", async () => {
    await using registry = await registryOf("1.0.0");
    await using workshop = await open(registry);
    const missing = await workshop.run(installing(workshop, depsOf({ nowhere: "1.0.0" })));
    expect(missing.exit).toMatchObject({ reason: "spawn_failed", error: { code: "DEPS_INSTALL_FAILED" } });
    expect(missing.exit.error!.message).toMatch(/E404[\s\S]*nowhere/);
    const noise = missing.lines("system").filter((line) => /npm error( \d+)?$|Log files|tarball/.test(line));
    expect(noise).toEqual([]);
    const range = await workshop.run(installing(workshop, depsOf({ one: "^7.0.0" })));
    expect(range.exit.error).toMatchObject({
      code: "DEPS_INSTALL_FAILED",
      message: expect.stringContaining("ETARGET"),
    });
    expect(setsOf(workshop)).toEqual({ sets: [], moving: [] });
  });

  it("are refused where their bytes are not what the lock says, or the lock leads elsewhere (B053)", async () => {
    await using registry = await registryOf("1.0.0");
    await using first = await open(registry);
    const { lock } = await pinned(first, RANGE);
    registry.corrupt("one", "1.0.0");
    await using second = await open(registry);
    const corrupt = await second.run(second.task("node", IMPORTS, { deps: depsOf(RANGE, lock) }));
    expect(corrupt.exit.error).toMatchObject({
      code: "DEPS_INSTALL_FAILED",
      message: expect.stringMatching(/EINTEGRITY/),
    });
    const asked = registry.asked.length;
    const elsewhere = JSON.parse(lock!);
    elsewhere.npm.packages["node_modules/one"].resolved = "http://evil.example/one.tgz";
    const led = await second.run(second.task("node", IMPORTS, { deps: depsOf(RANGE, JSON.stringify(elsewhere)) }));
    expect(led.exit.error).toMatchObject({
      code: "DEPS_INSTALL_FAILED",
      message: expect.stringMatching(/evil\.example/),
    });
    const bare = JSON.parse(lock!);
    delete bare.npm.packages["node_modules/one"].integrity;
    const unknown = await second.run(second.task("node", IMPORTS, { deps: depsOf(RANGE, JSON.stringify(bare)) }));
    expect(unknown.exit.error!.message).toMatch(/has no hash/);
    expect(registry.asked).toHaveLength(asked);
  });

  it("are still installed for others when one who waits for them is canceled, and not when all are (F70)", async () => {
    await using registry = await registryOf("1.0.0");
    await using workshop = await open(registry);
    registry.hold();
    const tasks = [1, 2].map(() => installing(workshop, depsOf(RANGE)));
    const outcomes = tasks.map((task) => workshop.run(task));
    await until(() => registry.asked.length > 0);
    await workshop.executor.cancel(tasks[0]!.attemptId, "stop");
    expect((await outcomes[0]!).exit.reason).toBe("canceled");
    registry.release();
    expect((await outcomes[1]!).exit.reason).toBe("exited");

    registry.publish("two", { version: "2.0.0" });
    registry.hold();
    const alone = installing(workshop, depsOf({ two: "2.0.0" }));
    const outcome = workshop.run(alone);
    const asked = registry.asked.length;
    await until(() => registry.asked.length > asked);
    await workshop.executor.cancel(alone.attemptId, "kill");
    expect((await outcome).exit.reason).toBe("canceled");
    const next = workshop.run(installing(workshop, depsOf({ two: "2.0.0" })));
    registry.release();
    expect((await next).exit.reason).toBe("exited");
    expect(setsOf(workshop)).toMatchObject({ sets: [expect.anything(), expect.anything()], moving: [] });
  });

  it("that take too long are given up, and no part of them stays", async () => {
    await using registry = await registryOf("1.0.0");
    await using workshop = await open(registry);
    registry.hold();
    const { exit } = await workshop.run(installing(workshop, depsOf(RANGE), { timeoutMs: 500 }));
    expect(exit.error).toMatchObject({
      code: "DEPS_INSTALL_FAILED",
      message: expect.stringMatching(/longer than 500 ms/),
    });
    expect(setsOf(workshop)).toEqual({ sets: [], moving: [] });
  });

  it("see nothing of Maia's environment, and no variable or secret of a run (S16)", async () => {
    await using registry = await NpmRegistry.open();
    const scripts = { postinstall: `node -e "require('fs').writeFileSync('env.json', JSON.stringify(process.env))"` };
    registry.publish("one", { version: "1.0.0", main: "module.exports = require('./env.json');", scripts });
    await using workshop = await open(registry);
    process.env.MAIA_TEST_SECRET = "of-maia";
    const task = installing(workshop, depsOf(RANGE, null, ["one"]), {
      env: { OF: "of-run" },
      secrets: { MINE: "of-run" },
    });
    const outcome = await workshop.run(task);
    delete process.env.MAIA_TEST_SECRET;
    const deps = depsOf(RANGE, lockOf(workshop, outcome), ["one"]);
    const { output } = await workshop.run(workshop.task("node", IMPORTS, { deps }));
    const seen = Object.entries((output as { one: Record<string, string> }).one);
    expect(
      seen.filter(([name, value]) => name.startsWith("MAIA_") || value === "of-run" || value === "of-maia"),
    ).toEqual([]);
  });
});

describe("a task", () => {
  it("whose packages are not what their hash says, or not pinned yet, is refused", async () => {
    await using workshop = await Workshop.open();
    const wrong = workshop.task("node", IMPORTS, { deps: { ...depsOf(RANGE, "{}"), hash: "0".repeat(64) } });
    await expect(workshop.run(wrong)).rejects.toMatchObject({ code: "REFUSED" });
    const open = workshop.task("node", IMPORTS, { deps: depsOf(RANGE) });
    await expect(workshop.run(open)).rejects.toMatchObject({ code: "REFUSED" });
  });
});
