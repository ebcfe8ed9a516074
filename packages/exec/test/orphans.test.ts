import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "@jest/globals";
import type { Frame, IsolationLevel } from "@maia/runner-protocol";
import { allProcesses, childrenOf, signal } from "../src/processes.js";
import { commandLine, levelsHere, newMark, Outcome, processesMarked, sleepMarked, until, Workshop } from "./kit.js";

const levels = await levelsHere();
const HELPER = "helper/main.js";
const MAIN = fileURLToPath(new URL("../dist/helper/main.js", import.meta.url));
const ENGINE = fileURLToPath(new URL("./engine.mjs", import.meta.url));

/** A tree of three: in the group, in a session of its own, and forked twice; two of them ignore SIGTERM. */
function tree(mark: string): string {
  const sleep = sleepMarked(mark);
  return `trap '' TERM; ${sleep} & setsid ${sleep} & (setsid sh -c '(${sleep} &)' &); wait`;
}

const cleanUps: (() => void)[] = [];
afterEach(() => {
  for (const cleanUp of cleanUps.splice(0)) cleanUp();
});

/** Starts an engine of its own process with a step that is up. */
async function engineWithStep(isolation: IsolationLevel, leaseTtlMs = 15_000) {
  const root = mkdtempSync(join(tmpdir(), "maia-exec-"));
  const mark = newMark();
  await using workshop = await Workshop.open(isolation, { root });
  const task = workshop.task("shell", "");
  const setup = JSON.stringify({ root, isolation, leaseTtlMs, script: tree(mark), task });
  const env = { ENGINE: setup, PATH: "/usr/local/bin:/usr/bin:/bin" };
  const engine = spawn(process.execPath, [ENGINE], { env, stdio: ["ignore", "pipe", "inherit"] });
  cleanUps.push(() => {
    engine.kill("SIGKILL");
    rmSync(root, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 });
  });
  const frames = framesOf(engine);
  await until(() => processesMarked(mark).length >= 3);
  const helper = childrenOf(engine.pid!).find((pid) => commandLine(pid).includes("helper/main.js"))!;
  return { root, mark, engine, helper, frames };
}

function framesOf(engine: ChildProcess): Frame[] {
  const frames: Frame[] = [];
  let rest = "";
  engine.stdout!.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    frames.push(...lines.map((line) => JSON.parse(line) as Frame));
  });
  return frames;
}

describe.each(levels)("at the level %s no process of a step outlives", (level) => {
  it("an engine that is killed (G17, F17)", async () => {
    const { engine, mark, helper } = await engineWithStep(level);
    engine.kill("SIGKILL");
    await until(() => processesMarked(mark).length === 0 && commandLine(helper) === "", 5_000);
  });

  it("a helper that is killed; its attempts are lost, and another one takes over (F25)", async () => {
    await using workshop = await Workshop.open(level, { poolSize: 1 });
    const mark = newMark();
    const outcome = workshop.run(workshop.task("shell", tree(mark)));
    await until(() => processesMarked(mark).length >= 3);
    const helper = childrenOf(process.pid).find((pid) => commandLine(pid).includes("helper/main.js"))!;
    process.kill(helper, "SIGKILL");
    expect((await outcome).exit).toMatchObject({ reason: "lost", exitCode: null });
    await until(() => processesMarked(mark).length === 0, 5_000);
    const next = await workshop.run(workshop.task("node", "export default () => ({ again: true })"));
    expect(next.output).toEqual({ again: true });
  });

  it("engine and helper that are killed at once (G17)", async () => {
    const { engine, helper, mark } = await engineWithStep(level);
    process.kill(helper, "SIGSTOP");
    engine.kill("SIGKILL");
    process.kill(helper, "SIGKILL");
    await until(() => processesMarked(mark).length === 0, 5_000);
  });

  it("an engine that stands still for longer than its lease; it hears of it later (F18)", async () => {
    const { engine, mark, frames } = await engineWithStep(level, 600);
    engine.kill("SIGSTOP");
    await until(() => processesMarked(mark).length === 0, 5_000);
    engine.kill("SIGCONT");
    await until(() => frames.at(-1)?.type === "exit");
    expect(new Outcome(frames).exit).toMatchObject({ reason: "lost" });
  });

  it("its executor, which leaves nothing behind", async () => {
    const root = mkdtempSync(join(tmpdir(), "maia-exec-"));
    cleanUps.push(() => rmSync(root, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 }));
    const mark = newMark();
    const workshop = await Workshop.open(level, { root, poolSize: 2 });
    const outcome = workshop.run(workshop.task("shell", tree(mark)));
    await until(() => processesMarked(mark).length >= 3);
    await workshop[Symbol.asyncDispose]();
    expect((await outcome).exit).toMatchObject({ reason: "lost" });
    expect([processesMarked(mark), readdirSync(root)]).toEqual([[], []]);
  });
});

describe("a helper", () => {
  const OPENS = `import { openLocalExecutor } from "${new URL("../dist/index.js", import.meta.url)}";
    const { root, executors } = JSON.parse(process.env.SETUP);
    const rest = { ledgerId: "l", isolation: "auto", leaseTtlMs: 15_000, poolSize: 2, keep: async () => ({}), log() {} };
    await Promise.all(Array.from({ length: executors }, () => openLocalExecutor({ root, ...rest })));`;

  function supervisor(root: string, executors: number): ChildProcess {
    const env = { SETUP: JSON.stringify({ root, executors }), PATH: "/usr/local/bin:/usr/bin:/bin" };
    return spawn(process.execPath, ["--input-type=module", "-e", OPENS], { env, stdio: "ignore" });
  }

  /** Helpers below a root, whoever started them. */
  const helpersOf = (root: string) =>
    allProcesses().filter((pid) => [HELPER, root].every((part) => commandLine(pid).includes(part)));

  it("outlives none of its supervisors, whenever they are killed while they start, one or two, with one helper or three (G17)", async () => {
    const root = mkdtempSync(join(tmpdir(), "maia-exec-"));
    cleanUps.push(() => rmSync(root, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 }));
    for (let trial = 0; trial < 20; trial++) {
      const supervisors = Array.from({ length: 1 + (trial % 2) }, () => supervisor(root, 1 + (trial % 3)));
      await until(() => helpersOf(root).length > 0);
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 300)); // any moment of their start
      for (const one of supervisors) one.kill("SIGKILL");
      await until(() => helpersOf(root).length === 0, 5_000);
    }
    expect(helpersOf(root)).toEqual([]);
  }, 180_000); // many starts, on a machine that may be busy

  it("ends with its supervisor although somebody else holds its input open (G17)", async () => {
    const root = mkdtempSync(join(tmpdir(), "maia-exec-"));
    cleanUps.push(() => rmSync(root, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 }));
    // The supervisor's end of the input is the output of another child too, which lives on.
    const script = `const { spawn } = require("node:child_process");
      const helper = spawn(process.execPath, [process.env.MAIN, process.env.ROOT, String(process.pid)],
        { stdio: ["pipe", "pipe", "ignore"], detached: true });
      const keeps = spawn("sleep", ["60"], { stdio: ["ignore", helper.stdin._handle.fd, "ignore"], detached: true });
      console.log(keeps.pid); setInterval(() => {}, 1000);`;
    const env = { MAIN, ROOT: root, PATH: "/usr/local/bin:/usr/bin:/bin" };
    const one = spawn(process.execPath, ["-e", script], { env, stdio: ["ignore", "pipe", "inherit"] });
    cleanUps.push(() => one.kill("SIGKILL"));
    const [line] = (await once(one.stdout!, "data")) as [Buffer];
    cleanUps.push(() => signal(Number(line.toString()), "SIGKILL"));
    await until(() => helpersOf(root).length === 1);
    one.kill("SIGKILL");
    await until(() => helpersOf(root).length === 0, 5_000);
  });
});

describe("an executor that starts", () => {
  const isThere = (path: string) => lstatSync(path, { throwIfNoEntry: false }) !== undefined;

  it("clears at once what one left that was killed as it began, and leaves one alone that begins too (F15)", async () => {
    const root = mkdtempSync(join(tmpdir(), "maia-exec-"));
    cleanUps.push(() => rmSync(root, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 }));
    const [nobodys, unborn, young] = ["a", "b", "c"].map((letter) => join(root, `x${letter.repeat(18)}`));
    await using living = await Workshop.open("auto", { root });
    const owner = readlinkSync(join(root, readdirSync(root).find((name) => name.endsWith(".owner"))!));
    mkdirSync(nobodys!);
    symlinkSync(JSON.stringify({ ...JSON.parse(owner), pid: 2 ** 22 + 1 }), `${unborn}.owner`);
    symlinkSync(owner, `${young}.owner`);
    await using next = await Workshop.open("auto", { root });
    expect([living, next].map(({ executor }) => executor.report.level)).not.toContain("");
    expect([nobodys!, `${unborn}.owner`, `${young}.owner`].map(isThere)).toEqual([false, false, true]);
  });

  it("clears what a dead one left in the same root, and leaves a living one alone (G17, G28)", async () => {
    const dead = await engineWithStep("process-group");
    const alive = await Workshop.open("auto", { root: dead.root });
    const running = alive.run(alive.task("shell", "sleep 1; echo '{\"undisturbed\":true}' > $MAIA_OUTPUT_PATH"));
    process.kill(dead.helper, "SIGKILL");
    dead.engine.kill("SIGKILL");
    await until(() => commandLine(dead.engine.pid!) === "");
    const next = await Workshop.open("auto", { root: dead.root });
    await until(() => processesMarked(dead.mark).length === 0, 5_000);
    expect(readdirSync(dead.root).filter((name) => !name.endsWith(".owner"))).toHaveLength(2);
    expect((await running).output).toEqual({ undisturbed: true });
    await alive[Symbol.asyncDispose]();
    await next[Symbol.asyncDispose]();
  });
});
