import { readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterEach, describe, expect, it } from "@jest/globals";
import type { LogItem } from "./support/client.ts";
import { Deployment } from "./support/deployments.ts";
import { preload } from "./support/preloads.ts";
import { eventually, MaiaProcess, temporaryFolder } from "./support/processes.ts";

let maia: Deployment;
afterEach(() => maia[Symbol.asyncDispose]());

/** A Maia with a pool of runners that take one task each; the marks are off, since the machine that tests is busy. */
async function start(more: Record<string, string> = {}): Promise<void> {
  maia = await Deployment.start("local", {
    MAIA_HOSTED_POOL: "2",
    MAIA_HOSTED_POOL_IDLE_MS: "500",
    MAIA_RUNNER_SLOTS: "1",
    MAIA_RUNNER_CPU_MARK: "100",
    MAIA_RUNNER_MEMORY_MARK: "100",
    MAIA_RUNNER_HEARTBEAT_MS: "500",
    MAIA_RUNNER_UNKNOWN_MS: "3000",
    ...more,
  });
}

/** The pool's processes that live, by the folder in their environment. */
async function pool(): Promise<number[]> {
  const mark = `MAIA_RUNNER_DATA_DIR=${path.join(maia.dataDir, "pool")}/`;
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const environ = await readFile(`/proc/${pid}/environ`, "latin1").catch(() => ""); // it ended meanwhile
      const program = await readFile(`/proc/${pid}/cmdline`, "latin1").catch(() => "");
      return environ.includes(mark) && program.includes("runner/dist/main.js") ? Number(pid) : null;
    }),
  );
  return found.filter((pid) => pid !== null);
}

const connected = async () =>
  ((await (await fetch(`${maia.url}/readyz`)).json()) as { hostedRunners?: number }).hostedRunners;
const connects = (count: number) => eventually(`${count} are connected`, async () => (await connected()) === count);

const workflow = (name: string, script: string) => ({
  name,
  steps: [{ key: "only", runtime: "shell" as const, script }],
});

/** Submits a step that takes a while, and waits until it speaks. */
async function begun(seconds: number) {
  const { client } = maia;
  await client.apply(workflow("slow", `echo begun\nsleep ${seconds}\necho done\n`));
  const job = await client.submit("slow");
  await eventually("the step speaks", async () => {
    const { runId } = await client.get<{ runId: string | null }>(`/v1/jobs/${job.id}`);
    if (runId === null) return false;
    const { items } = await client.get<{ items: LogItem[] }>(`/v1/runs/${runId}/logs`);
    return items.some(({ line }) => line === "begun");
  });
  return job;
}

async function attemptsOf(jobId: string): Promise<{ status: string; instanceId: string | null }[]> {
  const run = await maia.client.finished(jobId);
  expect({ status: run.status, failure: run.failure }).toEqual({ status: "SUCCEEDED", failure: null });
  return run.steps[0]!.attempts as unknown as { status: string; instanceId: string | null }[];
}

describe("the hosted pool", () => {
  it("does the work of the hosted runner, which is still Maia's own (F89, F90, F171)", async () => {
    await start({ MAIA_SECRET_KEY: Buffer.alloc(32, 7).toString("base64") });
    const { client } = maia;
    await connects(1);
    await client.apply(workflow("hello", "echo hello\n"));
    const [attempt] = await attemptsOf((await client.submit("hello")).id);
    expect(attempt).toMatchObject({ status: "SUCCEEDED", instanceId: expect.stringMatching(/^ins_/) });
    const hosted = await client.get("/v1/runners/hosted");
    expect(hosted).toMatchObject({ status: "RUNNING", connected: true, instances: 1, platform: "hosted" });
    const managed = { status: 409, body: { code: "RUNNER_MANAGED" } };
    for (const command of ["RESTART", "STOP"])
      expect(await client.call("POST", "/v1/runners/hosted/commands", { command })).toMatchObject(managed);
    expect(await client.call("GET", "/v1/runners/hosted/credentials")).toMatchObject(managed);
    expect(await client.call("GET", "/v1/runners/hosted/deployment")).toMatchObject(managed);
    const status = new MaiaProcess(["status"], { MAIA_URL: maia.url, MAIA_DATA_DIR: maia.dataDir });
    await status.ended();
    expect(status.log).toContain("hosted   1 runner connected");
    const [pid] = await pool();
    expect(await readFile(`/proc/${pid}/environ`, "latin1")).not.toContain("MAIA_SECRET_KEY");
    expect(await readFile(`/proc/${pid}/cmdline`, "latin1")).not.toContain("mcs_");
  });

  it("holds its work while it is paused, and goes on when it is resumed (F89)", async () => {
    await start();
    const { client } = maia;
    await connects(1);
    await client.call("POST", "/v1/runners/hosted/commands", { command: "PAUSE" });
    await client.apply(workflow("hello", "echo hello\n"));
    const [job] = [await client.submit("hello"), await client.submit("hello"), await client.submit("hello")];
    const why = await eventually("it says why", async () => {
      const reasons = JSON.stringify(await client.get(`/v1/jobs/${job.id}/why`));
      return reasons.includes("RUNNER_PAUSED") && reasons;
    });
    expect(why).toContain("hosted");
    expect(maia.part("up").log).not.toContain("the hosted pool changes its size"); // no process more would help
    await client.call("POST", "/v1/runners/hosted/commands", { command: "RESUME" });
    expect(await attemptsOf(job.id)).toHaveLength(1);
  });

  it("tries a step again whose process was killed, with another process (F25, G6)", async () => {
    await start();
    await connects(1);
    const job = await begun(3);
    const [pid] = await pool();
    process.kill(pid!, "SIGKILL");
    expect((await attemptsOf(job.id)).map(({ status }) => status)).toEqual(["LOST", "SUCCEEDED"]);
    expect(await pool()).not.toContain(pid);
  });

  it("grows while work waits, never above its limit, and shrinks when it is idle", async () => {
    await start();
    await connects(1);
    await maia.client.apply(workflow("nap", "sleep 2\n"));
    const jobs = await Promise.all([1, 2, 3].map(() => maia.client.submit("nap")));
    await connects(2);
    for (const { id } of jobs) expect(await attemptsOf(id)).toHaveLength(1);
    await connects(1);
    await eventually("one of them has ended", async () => (await pool()).length === 1);
  });

  it("replaces its processes on SIGHUP, one by one, without a lost task", async () => {
    await start({ MAIA_HOSTED_POOL_MIN: "2" });
    await connects(2);
    const job = await begun(4);
    const before = await pool();
    maia.part("up").signal("SIGHUP");
    await eventually("all are others", async () => {
      const now = await pool();
      return now.length === 2 && now.every((pid) => !before.includes(pid));
    });
    await connects(2);
    expect((await attemptsOf(job.id)).map(({ status }) => status)).toEqual(["SUCCEEDED"]);
  });

  it("replaces its processes one by one when another version is installed, without a lost task (F87, F90)", async () => {
    await using folder = await temporaryFolder("version");
    const file = path.join(folder.path, "version");
    await writeFile(file, "1.0.0\n");
    await start({ MAIA_HOSTED_POOL_MIN: "2", ...preload("runner-version", { VERSION_FILE: file }) });
    await connects(2);
    const job = await begun(4);
    const before = await pool();
    await writeFile(file, "1.1.0\n");
    let fewest = before.length;
    await eventually("all are others", async () => {
      const now = await pool();
      fewest = Math.min(fewest, now.length);
      return now.length === 2 && now.every((pid) => !before.includes(pid));
    });
    expect(fewest).toBe(2);
    await connects(2);
    expect(maia.part("up").log).toContain("another version is installed");
    expect((await attemptsOf(job.id)).map(({ status }) => status)).toEqual(["SUCCEEDED"]);
  });

  it("keeps its processes where those of another version do not start, and replaces them with the next one (F87, F90)", async () => {
    await using folder = await temporaryFolder("version");
    const file = path.join(folder.path, "version");
    await writeFile(file, "1.0.0\n");
    const broken = { MAIA_HOSTED_POOL_CONNECT_MS: "2000", ...preload("runner-version", { VERSION_FILE: file }) };
    await start({ MAIA_HOSTED_POOL_MIN: "2", ...broken });
    await connects(2);
    const before = await pool();
    const says = (text: string) => eventually(text, async () => maia.part("up").log.includes(text));
    await writeFile(file, "broken\n");
    await says("a new hosted runner does not connect; the others stay as they are");
    expect(await pool()).toEqual(expect.arrayContaining(before));
    await maia.client.apply(workflow("hello", "echo hello\n"));
    expect(await attemptsOf((await maia.client.submit("hello")).id)).toHaveLength(1);
    await writeFile(file, "1.1.0\n");
    await eventually("all are others", async () => {
      const now = await pool();
      return now.length === 2 && now.every((pid) => !before.includes(pid));
    });
    await connects(2);
  });

  it("leaves no process when Maia is killed, and reports what was lost when it is back (F51)", async () => {
    await start();
    await connects(1);
    const job = await begun(3);
    await maia.part("up").kill();
    await eventually("none is left", async () => (await pool()).length === 0);
    maia.spawn("up");
    await eventually("Maia is back", async () => (await fetch(`${maia.url}/readyz`)).ok);
    expect((await attemptsOf(job.id)).map(({ status }) => status)).toEqual(["LOST", "SUCCEEDED"]);
  });

  it("lets its tasks end when Maia stops, and leaves no process", async () => {
    await start();
    await connects(1);
    const job = await begun(2);
    expect(await maia.part("up").stop()).toBe(0);
    expect(await pool()).toEqual([]);
    maia.spawn("up");
    await eventually("Maia is back", async () => (await fetch(`${maia.url}/readyz`)).ok);
    expect((await attemptsOf(job.id)).map(({ status }) => status)).toEqual(["SUCCEEDED"]);
  });

  it("ends what takes too long when Maia stops, which counts against no budget (F27, G22)", async () => {
    await start({ MAIA_DRAIN_LIMIT_MS: "300", MAIA_MAX_ATTEMPTS_LOST: "1" });
    await connects(1);
    const job = await begun(3);
    expect(await maia.part("up").stop()).toBe(0);
    maia.spawn("up");
    const run = await maia.client.finished(job.id);
    const ends = run.steps[0]!.attempts.map(({ status, failure }) => [status, failure?.code]);
    expect(ends).toEqual([
      ["LOST", "DRAIN_TIMEOUT"],
      ["SUCCEEDED", undefined],
    ]);
  });

  it("hands the work back to the engine where it is switched off", async () => {
    await start();
    await connects(1);
    const job = await begun(3);
    await maia.part("up").kill();
    maia.spawn("up", { MAIA_HOSTED_POOL: "0" });
    await eventually("Maia is back", async () => (await fetch(`${maia.url}/readyz`)).ok);
    const attempts = await attemptsOf(job.id);
    expect(attempts.map(({ status, instanceId }) => [status, instanceId !== null])).toEqual([
      ["LOST", true],
      ["SUCCEEDED", false],
    ]);
    expect(await connected()).toBeUndefined();
    expect(await maia.client.get("/v1/runners/hosted")).toMatchObject({ status: "RUNNING", instances: 1 });
  });
});
