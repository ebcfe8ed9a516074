import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { afterEach, beforeEach, expect, it } from "@jest/globals";
import { Deployment } from "./support/deployments.ts";
import { eventually } from "./support/processes.ts";

const MIB = 1_048_576;
const AT = "2026-11-20T12:00:00.000Z";

let maia: Deployment;
let api: string;
let token: string;
let instanceId: string;

beforeEach(async () => {
  maia = await Deployment.start("engines", {
    MAIA_RUNNER_HEARTBEAT_MS: "500",
    MAIA_LOG_ATTEMPT_MAX: String(MIB),
    MAIA_ARTIFACT_MAX: String(4 * MIB),
    MAIA_ARTIFACTS_MAX: "100",
  });
  api = maia.url;
});
afterEach(() => maia[Symbol.asyncDispose]());

interface Task {
  readonly attemptId: string;
  readonly runId: string;
  readonly token: string;
}

/** Says hello by hand, and takes the task of a job. */
async function aTask(): Promise<{ jobId: string; task: Task }> {
  const { client } = maia;
  const definition = { name: "bad", platform: "self_managed", deployment: "process" };
  const made = await client.call<{ credentials: { clientId: string; clientSecret: string } }>(
    "POST",
    "/v1/runners",
    definition,
  );
  const { clientId, clientSecret } = made.body.credentials;
  const grant = { grant_type: "client_credentials", client_id: clientId, client_secret: clientSecret };
  const answer = await fetch(`${api}/oauth/token`, { method: "POST", body: new URLSearchParams(grant) });
  token = ((await answer.json()) as { access_token: string }).access_token;
  const about = { protocol: "1.0", version: "0.1.0", slots: 1, isolation: "process-group", ledgerId: "lgr_bad" };
  ({ instanceId } = await say<{ instanceId: string }>("/v1/gateway/instances", about));
  await client.apply({ name: "bait", steps: [{ key: "only", runtime: "shell", script: ":\n" }] });
  const job = await client.submit("bait", { runner: "bad" });
  return { jobId: job.id, task: await eventually("there is a task", async () => (await poll()).tasks[0]) };
}

const poll = () => say<{ tasks: Task[] }>(`/v1/gateway/instances/${instanceId}/poll`, { free: 1, running: [] });

async function say<T>(path: string, body: object): Promise<T> {
  const headers = { ...own(), "content-type": "application/json" };
  const answer = await fetch(`${api}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  return (await answer.json()) as T;
}

const own = () => ({ authorization: `Bearer ${token}`, "maia-generation": "1" });

/** What the API's process has in memory now, in bytes. */
async function memory(): Promise<number> {
  const status = await readFile(`/proc/${maia.part("api").pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]) * 1_024;
}

/** Frames without end: so many log lines of 1,000 characters each. */
async function* flood(attemptId: string, lines: number): AsyncGenerator<Buffer> {
  const start = { type: "started", seq: 1, attemptId, epoch: 1, pid: 1, isolation: "process-group" };
  yield Buffer.from(`${JSON.stringify(start)}\n`);
  const line = "x".repeat(1_000);
  for (let seq = 2; seq < lines + 2; ) {
    const batch: string[] = [];
    for (; batch.length < 100 && seq < lines + 2; seq++)
      batch.push(JSON.stringify({ type: "log", seq, stream: "stdout", line, at: AT }));
    yield Buffer.from(`${batch.join("\n")}\n`);
  }
}

it("a runner that floods the gateway with lines, bytes and polls costs it neither memory nor disk (B089, B101, B109)", async () => {
  const { jobId, task } = await aTask();
  const { attemptId, runId } = task;
  const headers = { ...own(), "maia-attempt-token": task.token };
  const path = `${api}/v1/gateway/attempts/${attemptId}`;
  const before = await memory();

  const body = ReadableStream.from(flood(attemptId, 200_000));
  const sending = { method: "POST", headers, body, duplex: "half" } as RequestInit;
  const flooded = await fetch(`${path}/frames`, sending);
  expect([flooded.status, await flooded.json()]).toEqual([200, { ackedSeq: 200_001, ended: false }]);
  const grown = [(await memory()) - before];

  const statuses = new Map<number, number>();
  for (let i = 0; i < 60; i++) {
    const bytes = randomBytes(MIB);
    const hash = Buffer.from(await crypto.subtle.digest("SHA-256", bytes)).toString("hex");
    const { status } = await fetch(`${path}/blobs/${hash}`, { method: "PUT", headers, body: bytes });
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
  }
  expect(Object.fromEntries(statuses)).toEqual({ 201: 4, 413: 56 });
  grown.push((await memory()) - before);

  const polls = Array.from({ length: 500 }, () => poll().then(() => 0));
  await Promise.all(polls);
  grown.push((await memory()) - before);

  const exit = { type: "exit", lastSeq: 200_001, exitCode: 1, signal: null, reason: "exited", error: null };
  await fetch(`${path}/frames`, { method: "POST", headers, body: `${JSON.stringify(exit)}\n` });
  const run = await maia.client.finished(jobId);
  expect(run.steps[0]!.attempts[0]).toMatchObject({ status: "FAILED", failure: { code: "STEP_EXIT_CODE" } });
  const kept = (await maia.client.logs(runId)).reduce((sum, { line }) => sum + line.length, 0);
  expect(kept).toBeLessThan(2 * MIB + 1_000);
  expect(Math.max(...grown)).toBeLessThan(150 * MIB); // 200 MB of lines came, and 60 MiB of artifacts
});
