import { readdir, readFile, readlink, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { DialerHome } from "./support/dialer.js";
import { CLIENT, TestGateway } from "./support/gateway.js";
import { aMarker, processesWith } from "./support/process.js";
import { until } from "./support/runner.js";
import { aTask } from "./support/tasks.js";

let home: DialerHome;
let gateway: TestGateway;
beforeEach(async () => {
  [home, gateway] = await Promise.all([DialerHome.open(), TestGateway.open()]);
});
afterEach(async () => {
  await home[Symbol.asyncDispose]();
  await gateway[Symbol.asyncDispose]();
});

const isEnded = (attemptId: string) => () => gateway.exitOf(attemptId) !== null;
const aShellTask = (script: string, change = {}) => gateway.offer(aTask({ runtime: "shell", ...change }, script));

/** A step that says "up" and then sleeps, with a child that left its session. */
const sleeper = (marker: string) => `#!/bin/sh\nsetsid sleep ${marker} &\necho up\nsleep ${marker}\n`;

/** Starts a sleeping step, and waits until all of it runs. */
async function aSleeper(change = {}) {
  const marker = aMarker();
  const task = aShellTask(sleeper(marker), change);
  await until("the step is up", () => gateway.linesOf(task.attemptId).includes("up"));
  await until("its processes are there", async () => (await processesWith(marker)) >= 2);
  return { task, marker };
}

/** Inodes of the sockets of a process that somebody could connect to, of any family. */
async function listening(pid: number): Promise<string[]> {
  const links = (await readdir(`/proc/${pid}/fd`)).map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => ""));
  const own = new Set((await Promise.all(links)).flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []));
  const tables = await Promise.all(["tcp", "tcp6"].map((name) => readFile(`/proc/${pid}/net/${name}`, "utf8")));
  const rows = tables.flatMap((table) => table.trim().split("\n").slice(1)).map((row) => row.trim().split(/\s+/));
  return rows.flatMap(([, , , state, , , , , , inode = ""]) => (state === "0A" && own.has(inode) ? [inode] : []));
}

describe("the process of a runner that dials out", () => {
  it("runs a step and brings its artifact, and listens on nothing meanwhile (S12)", async () => {
    const runner = home.start(gateway.url);
    const script = `export default async (ctx) => {
      console.log("hello é日🙂");
      await ctx.artifacts.write("report.md", "# Report");
      return { answer: 42 };
    };\n`;
    const task = gateway.offer(aTask({}, script));
    await until("the step speaks", () => gateway.linesOf(task.attemptId).length > 0);
    expect(await listening(runner.pid)).toEqual([]);
    await until("the end is confirmed", isEnded(task.attemptId));
    expect(gateway.linesOf(task.attemptId)).toEqual(["hello é日🙂"]);
    expect(gateway.framesOf(task.attemptId)).toContainEqual(expect.objectContaining({ data: { answer: 42 } }));
    const [artifact] = gateway.framesOf(task.attemptId).filter((frame) => frame.type === "artifact");
    expect(Buffer.from(gateway.blobs.get(artifact!.sha256)!).toString()).toBe("# Report");
    runner.kill("SIGTERM");
    expect(await runner.ended).toMatchObject({ code: 0 });
    expect(gateway.goodbyes).toEqual(["ins_1"]);
  });

  it("reports after a SIGKILL what had ended, and as lost what had not, and starts neither again (F25, F26, G6, G17)", async () => {
    const runner = home.start(gateway.url);
    const { task: lost, marker } = await aSleeper();
    const ended = aShellTask("echo one\nsleep 0.3\necho two\n");
    await until("it speaks", () => gateway.linesOf(ended.attemptId).includes("one"));
    gateway.intercept = () => "cut";
    const spool = join(home.dir, "spool", `${ended.attemptId}.ndjson`);
    await until("its exit is in the spool", async () => (await readFile(spool, "utf8")).includes('"type":"exit"'));
    runner.kill("SIGKILL");
    await runner.ended;
    await until("no process of the other is left", async () => (await processesWith(marker)) === 0, 5_000);
    expect(gateway.exitOf(ended.attemptId)).toBeNull();

    gateway.intercept = () => null;
    const again = home.start(gateway.url);
    await until("both are reported", () => isEnded(ended.attemptId)() && isEnded(lost.attemptId)());
    expect(gateway.linesOf(ended.attemptId)).toEqual(["one", "two"]);
    expect(gateway.exitOf(ended.attemptId)).toMatchObject({ reason: "exited", exitCode: 0 });
    expect(gateway.linesOf(lost.attemptId)).toEqual(["up"]);
    expect(gateway.exitOf(lost.attemptId)).toMatchObject({ reason: "lost", error: { code: "RUNNER_LOST" } });
    expect(gateway.hellos.map((hello) => (hello as { ledgerId: string }).ledgerId)).toEqual(
      Array(2).fill((gateway.hellos[0] as { ledgerId: string }).ledgerId),
    );
    expect(gateway.handed.get(ended.attemptId)).toBe(1);
    again.kill("SIGTERM");
    expect(await again.ended).toMatchObject({ code: 0 });
    expect(await readdir(join(home.dir, "unconfirmed"))).toEqual([]);
  });

  it("reports a lost attempt also where nothing but the ledger is left of it, as after a power cut", async () => {
    const runner = home.start(gateway.url);
    const { task } = await aSleeper();
    runner.kill("SIGKILL");
    await runner.ended;
    for (const folder of ["unconfirmed", "spool"]) await rm(join(home.dir, folder), { recursive: true });
    home.start(gateway.url);
    await until("the end is confirmed", isEnded(task.attemptId)); // its task is handed over again
    expect(gateway.exitOf(task.attemptId)).toMatchObject({ lastSeq: 2, reason: "lost" });
    expect(gateway.linesOf(task.attemptId)).toEqual(["up"]);
  });

  it("lets its steps end on SIGTERM, takes nothing new, and says goodbye (F27, G22)", async () => {
    const runner = home.start(gateway.url);
    const task = aShellTask("echo one\nsleep 1\necho two\n");
    await until("it speaks", () => gateway.linesOf(task.attemptId).includes("one"));
    runner.kill("SIGTERM");
    await until("it says that it is stopping", () => gateway.lastPoll?.stopping === true);
    const other = aShellTask("echo never\n");
    expect(await runner.ended).toMatchObject({ code: 0 });
    expect(gateway.linesOf(task.attemptId)).toEqual(["one", "two"]);
    expect(gateway.exitOf(task.attemptId)).toMatchObject({ reason: "exited", exitCode: 0 });
    expect(gateway.goodbyes).toEqual(["ins_1"]);
    expect(gateway.handed.has(other.attemptId)).toBe(false);
  });

  it("waits on SIGTERM for a transaction that is open on it, and no longer once its secret is refused (F41, G22)", async () => {
    gateway.openTransactions = 1;
    const runner = home.start(gateway.url);
    await until("it is told", () => gateway.polls.length > 1);
    runner.kill("SIGTERM");
    const isStopping = () => gateway.polls.filter(({ stopping }) => stopping === true).length > 2;
    await until("it goes on asking", isStopping);
    gateway.secret = "another";
    gateway.dropTokens();
    expect(await runner.ended).toMatchObject({ code: 0 });
  });

  it("waits for it no longer either once the gateway was away for its window (F51, G22)", async () => {
    gateway.openTransactions = 1;
    const runner = home.start(gateway.url);
    const task = aShellTask("echo one\n", { reconnectWindowMs: 1_000 });
    await until("the step has ended", isEnded(task.attemptId));
    runner.kill("SIGTERM");
    await until("it says that it is stopping", () => gateway.lastPoll?.stopping === true);
    gateway.intercept = () => "cut";
    expect(await runner.ended).toMatchObject({ code: 0 });
  });

  it("kills what is left after its drain limit, and reports that it was lost (G22)", async () => {
    const runner = home.start(gateway.url, { MAIA_DRAIN_LIMIT_MS: "300" });
    const { task, marker } = await aSleeper();
    runner.kill("SIGTERM");
    expect(await runner.ended).toMatchObject({ code: 0 });
    expect(gateway.exitOf(task.attemptId)).toMatchObject({ reason: "lost", error: { code: "DRAIN_TIMEOUT" } });
    expect(await processesWith(marker)).toBe(0);
    expect(gateway.goodbyes).toEqual(["ins_1"]);
  });

  it.each([
    ["RESTART", 75],
    ["STOP", 0],
  ])("drains, says goodbye and exits when it is commanded to: %s, with %i (G22)", async (type, code) => {
    const runner = home.start(gateway.url);
    const task = aShellTask("echo one\nsleep 0.5\necho two\n");
    await until("it speaks", () => gateway.linesOf(task.attemptId).includes("one"));
    gateway.command({ id: "cmd_1", type });
    expect(await runner.ended).toMatchObject({ code });
    expect(gateway.exitOf(task.attemptId)).toMatchObject({ reason: "exited", exitCode: 0 });
    expect(gateway.isTaken("cmd_1")).toBe(true);
    expect(gateway.goodbyes).toEqual(["ins_1"]);
  });

  it("that was told to restart and then to stop is not to be started again (G22)", async () => {
    const runner = home.start(gateway.url);
    const task = aShellTask("echo one\nsleep 2\n");
    await until("it speaks", () => gateway.linesOf(task.attemptId).includes("one"));
    gateway.command({ id: "cmd_1", type: "RESTART" });
    await until("it drains", () => gateway.lastPoll?.stopping === true);
    gateway.command({ id: "cmd_2", type: "STOP" });
    expect(await runner.ended).toMatchObject({ code: 0 });
    expect(gateway.exitOf(task.attemptId)).toMatchObject({ reason: "exited", exitCode: 0 });
  });

  it("ends its attempts and itself when another process speaks for it, and starts nothing (G24)", async () => {
    const runner = home.start(gateway.url);
    const { marker } = await aSleeper();
    gateway.generation++;
    const other = aShellTask("echo never\n");
    expect(await runner.ended).toMatchObject({ code: 78, stderr: expect.stringContaining("another process speaks") });
    expect(await processesWith(marker)).toBe(0);
    expect(gateway.handed.has(other.attemptId)).toBe(false);
    expect(gateway.goodbyes).toEqual([]);
  });

  it("exits when its secret is refused at the start, says so, and shows the secret to nobody (F41, S10)", async () => {
    gateway.secret = "another";
    const runner = home.start(gateway.url);
    const cmdline = await readFile(`/proc/${runner.pid}/cmdline`, "utf8");
    const { code, stderr } = await runner.ended;
    expect(code).toBe(77);
    expect(stderr).toMatch(/turns this runner away.*MAIA_CLIENT_SECRET/);
    expect(stderr + cmdline).not.toContain(CLIENT.secret);
    expect(gateway.exchanges).toHaveLength(1);
  });

  it("lets what runs go on when its secret is refused later, starts nothing new, and comes back with it (F41, G24)", async () => {
    const runner = home.start(gateway.url);
    const task = aShellTask("echo one\nsleep 2\necho two\n");
    await until("it speaks", () => gateway.linesOf(task.attemptId).includes("one"));
    gateway.secret = "another";
    gateway.dropTokens();
    await until("it says so", () => runner.said().includes("refuses MAIA_CLIENT_SECRET"));
    const other = aShellTask("echo three\n");
    const spool = join(home.dir, "spool", `${task.attemptId}.ndjson`);
    await until("the step ends all the same", async () => (await readFile(spool, "utf8")).includes('"type":"exit"'));
    expect(gateway.handed.has(other.attemptId)).toBe(false);
    gateway.secret = CLIENT.secret;
    await until("all is delivered", () => isEnded(task.attemptId)() && isEnded(other.attemptId)(), 30_000);
    expect(gateway.linesOf(task.attemptId)).toEqual(["one", "two"]);
    expect(gateway.exitOf(task.attemptId)).toMatchObject({ reason: "exited" });
  });

  it("goes on trying when nobody answers at the start, and says why", async () => {
    const { url } = gateway;
    const { port } = gateway;
    await gateway[Symbol.asyncDispose]();
    const runner = home.start(url);
    await until("it says so", () => /cannot be reached; it is tried again.*ECONNREFUSED/.test(runner.said()));
    gateway = await TestGateway.open(null, port);
    await until("it is known", () => gateway.hellos.length === 1, 20_000);
    runner.kill("SIGTERM");
    expect(await runner.ended).toMatchObject({ code: 0 });
  });

  it("stops on SIGTERM also while the gateway cannot be reached", async () => {
    const runner = home.start("http://127.0.0.1:9");
    await until("it says so", () => runner.said().includes("cannot be reached"));
    runner.kill("SIGTERM");
    expect(await runner.ended).toMatchObject({ code: 0 });
  });

  it("sees its steps through while the gateway restarts (F51)", async () => {
    home.start(gateway.url);
    const task = aShellTask("echo one\nsleep 1.5\necho two\n");
    await until("it speaks", () => gateway.linesOf(task.attemptId).includes("one"));
    gateway.intercept = () => "cut";
    const spool = join(home.dir, "spool", `${task.attemptId}.ndjson`);
    await until("the step ends meanwhile", async () => (await readFile(spool, "utf8")).includes('"type":"exit"'));
    gateway.dropTokens();
    gateway.intercept = () => null;
    await until("the end is confirmed", isEnded(task.attemptId), 20_000);
    expect(gateway.linesOf(task.attemptId)).toEqual(["one", "two"]);
    expect(gateway.exitOf(task.attemptId)).toMatchObject({ reason: "exited" });
  });
});
