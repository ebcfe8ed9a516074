import { createHash, randomBytes } from "node:crypto";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { diamond } from "./diamond.ts";
import type { LogItem } from "./support/client.ts";
import { Deployment } from "./support/deployments.ts";
import { eventually, MaiaProcess } from "./support/processes.ts";

let maia: Deployment;
let credentials: Record<string, string>;
const started: MaiaProcess[] = [];

beforeEach(async () => {
  const short = { MAIA_RUNNER_HEARTBEAT_MS: "500", MAIA_RUNNER_UNKNOWN_MS: "3000" };
  maia = await Deployment.start("local", { ...short, MAIA_URL_ALLOW: "127.0.0.1" });
  credentials = aRunner("far");
});
afterEach(async () => {
  await Promise.all(started.splice(0).map((runner) => runner.kill()));
  await maia[Symbol.asyncDispose]();
});

/** A runner with credentials, as an administrator makes one. */
function aRunner(name: string): Record<string, string> {
  const [id, secret] = [`rnr_${name}`, randomBytes(32).toString("base64url")];
  const now = new Date().toISOString().replace("Z", "+00:00");
  using db = new DatabaseSync(path.join(maia.dataDir, "maia.db"), { timeout: 5_000 });
  db.prepare(
    `INSERT INTO "Runner" ("id", "name", "type", "platform", "track", "secretHash", "createdAt", "updatedAt") VALUES (?, ?, 'maia', 'self_managed', 'stable', ?, ?, ?)`,
  ).run(id, name, createHash("sha256").update(secret).digest("hex"), now, now);
  return { MAIA_CLIENT_ID: id, MAIA_CLIENT_SECRET: secret };
}

/** Starts the runner's process; the marks are off, since the machine that tests is busy. */
function dial(folder = "far"): MaiaProcess {
  const runner = new MaiaProcess(["runner"], {
    MAIA_GATEWAY_URL: maia.url,
    MAIA_RUNNER_DATA_DIR: path.join(maia.dataDir, "..", folder),
    MAIA_RUNNER_CPU_MARK: "100",
    MAIA_RUNNER_MEMORY_MARK: "100",
    ...credentials,
  });
  started.push(runner);
  return runner;
}

const slow = (seconds: number) => ({
  name: "slow",
  steps: [{ key: "only", runtime: "shell" as const, script: `echo begun\nsleep ${seconds}\necho done\n` }],
});

/** Submits a workflow to the runner, and waits until its first step speaks. */
async function begun(workflow: Parameters<typeof maia.client.apply>[0] & { name: string }) {
  const { client } = maia;
  await client.apply(workflow);
  const job = await client.submit(workflow.name, { runner: "far" });
  await eventually("the step speaks", async () => {
    const { runId } = await client.get<{ runId: string | null }>(`/v1/jobs/${job.id}`);
    if (runId === null) return false;
    const { items } = await client.get<{ items: LogItem[] }>(`/v1/runs/${runId}/logs`); // as far as there are any yet
    return items.some(({ line }) => line === "begun");
  });
  return job;
}

const linesOf = async (runId: string) =>
  (await maia.client.logs(runId)).filter(({ stream }) => stream === "stdout").map(({ line }) => line);

describe("a run on a runner that dials out", () => {
  it("gives outputs, artifacts and logs as everywhere: twelve steps over three runtimes, with uploads (S12)", async () => {
    dial();
    const { client } = maia;
    await client.apply(diamond);
    const sha256 = await client.upload("one two three four five six");
    const files = [{ name: "words.txt", sha256 }];
    const job = await client.submit("twelve", { params: { who: "Ada" }, files, runner: "far" });
    const run = await client.finished(job.id);
    expect({ status: run.status, failure: run.failure }).toEqual({ status: "SUCCEEDED", failure: null });
    expect(run.outputs).toEqual({ first: expect.stringMatching(/^[0-9a-f]{64}$/), words: 6 });
    const attempts = run.steps.flatMap((step) => step.attempts) as unknown as { runnerId: string }[];
    expect(attempts.map(({ runnerId }) => runnerId)).toEqual(Array(12).fill("rnr_far"));
    for (const artifact of await client.artifacts(run.id)) {
      const bytes = await client.content(artifact.id);
      expect(createHash("sha256").update(bytes).digest("hex")).toBe(artifact.sha256);
    }
  });

  it("goes on while Maia is killed and comes back: the step is not started again (F51, G6)", async () => {
    dial();
    const job = await begun(slow(3));
    await maia.part("up").kill();
    maia.spawn("up");
    await eventually("Maia is back", async () => (await fetch(`${maia.url}/readyz`)).ok);
    const run = await maia.client.finished(job.id);
    expect(run.status).toBe("SUCCEEDED");
    expect(run.steps[0]!.attempts).toHaveLength(1);
    expect(await linesOf(run.id)).toEqual(["begun", "done"]);
  });

  it("is tried again when its runner was killed, which tells so when it is back (F25, G6)", async () => {
    const runner = dial();
    const job = await begun(slow(3));
    await runner.kill();
    dial();
    const run = await maia.client.finished(job.id);
    expect(run.status).toBe("SUCCEEDED");
    expect(run.steps[0]!.attempts.map(({ status, reason }) => [status, reason])).toEqual([
      ["LOST", "lost"],
      ["SUCCEEDED", "exited"],
    ]);
  });

  it("ends on cancel (G16)", async () => {
    dial();
    const job = await begun(slow(600));
    await maia.client.call("POST", `/v1/jobs/${job.id}/cancel`);
    const run = await maia.client.finished(job.id);
    expect(run.status).toBe("CANCELED");
    expect(run.steps[0]!.attempts).toMatchObject([{ status: "CANCELED", reason: "canceled" }]);
  });

  it("is let end on SIGTERM, and what is queued waits for the next process (F27, G22)", async () => {
    const runner = dial();
    const job = await begun(slow(2));
    runner.signal("SIGTERM");
    const run = await maia.client.finished(job.id);
    expect(run.status).toBe("SUCCEEDED");
    await runner.ended();
    expect(runner.exitCode).toBe(0);
    const later = await maia.client.submit("slow", { runner: "far" });
    dial("far-too");
    expect((await maia.client.finished(later.id)).status).toBe("SUCCEEDED");
  });

  it("has its transaction finished by the runner that was told to stop meanwhile (G21, G22)", async () => {
    const runner = dial();
    const member = { runtime: "shell" as const, transaction: "load" };
    const steps = [
      { key: "first", ...member, script: "echo begun\nsleep 2\n" },
      { key: "second", ...member, deps: ["first"], script: "sleep 1\n" },
      { key: "third", ...member, deps: ["second"], script: ":\n" },
      { key: "undo", ...member, rollback: true, script: ":\n" },
    ];
    const job = await begun({ name: "together", steps });
    runner.signal("SIGTERM");
    const run = await maia.client.finished(job.id);
    expect(run.steps.map(({ key, status }) => [key, status])).toEqual([
      ["first", "SUCCEEDED"],
      ["second", "SUCCEEDED"],
      ["third", "SUCCEEDED"],
      ["undo", "SKIPPED"],
    ]);
    await runner.ended();
    expect(runner.exitCode).toBe(0);
  });
});

describe("a test of a connection", () => {
  it("that Maia would allow is blocked where the runner's own guard finds that nobody may make it (G25)", async () => {
    dial();
    const { client } = maia;
    const target = { host: "127.0.0.1", port: Number(new URL(maia.url).port) };
    const ask = () => client.call("POST", "/v1/runners/far/connectivity", target);
    const isRunning = async () => (await client.get<{ status: string }>("/v1/runners/far")).status === "RUNNING";
    await eventually("the runner is there", isRunning);
    const blocked = await ask();
    expect([blocked.status, blocked.body.code]).toEqual([422, "URL_BLOCKED"]);
    expect(blocked.body.detail).toContain("127.0.0.1");
  });
});
