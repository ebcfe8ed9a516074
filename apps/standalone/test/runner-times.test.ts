import { createHash, randomUUID } from "node:crypto";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { afterEach, describe, expect, it } from "@jest/globals";
import type { Attempt } from "./support/client.ts";
import { Deployment, type Shape } from "./support/deployments.ts";
import { freeze } from "./support/freeze.ts";
import { Gate } from "./support/gate.ts";
import { processesMarked } from "./support/marked-processes.ts";
import { eventually, MaiaProcess } from "./support/processes.ts";

/** Every rule of the fleet that has a time, with the time made short. */
const BEAT = { MAIA_RUNNER_HEARTBEAT_MS: "200", MAIA_RUNNER_UNKNOWN_MS: "1000" };

let stack = new AsyncDisposableStack();
let maia: Deployment;
let runnerId: string;
let credentials: Record<string, string>;

afterEach(async () => {
  await stack.disposeAsync();
  stack = new AsyncDisposableStack();
});

async function maiaWith(env: Record<string, string>, shape: Shape = "local"): Promise<void> {
  maia = stack.use(await Deployment.start(shape, { ...BEAT, ...env }));
  const { body } = await maia.client.call<{ id: string; credentials: { clientId: string; clientSecret: string } }>(
    "POST",
    "/v1/runners",
    { name: "far", platform: "self_managed", deployment: "process" },
  );
  runnerId = body.id;
  credentials = { MAIA_CLIENT_ID: body.credentials.clientId, MAIA_CLIENT_SECRET: body.credentials.clientSecret };
}

function dial(env: Record<string, string> = {}, folder = "far", within: readonly string[] = []): MaiaProcess {
  const settings = {
    MAIA_GATEWAY_URL: maia.url,
    MAIA_RUNNER_DATA_DIR: path.join(maia.dataDir, "..", folder),
    MAIA_RUNNER_CPU_MARK: "100",
    MAIA_RUNNER_MEMORY_MARK: "100",
  };
  return stack.use(new MaiaProcess(["runner"], { ...settings, ...credentials, ...env }, within));
}

interface View {
  readonly status: string;
  readonly inFlight: number;
  readonly connected: boolean;
  readonly pausedUntil: string | null;
}

const view = () => maia.client.get<View>(`/v1/runners/${runnerId}`);
const is = (status: string) =>
  eventually(`the runner is ${status}`, async () => {
    const now = await view();
    return now.status === status ? now : null;
  });

async function command(command: string): Promise<void> {
  const { status, body } = await maia.client.call("POST", `/v1/runners/${runnerId}/commands`, { command });
  expect({ status, body }).toMatchObject({ status: 202 });
}

const submit = (workflow: string, more: object = {}) => maia.client.submit(workflow, { runner: "far", ...more });
const busy = () => eventually("the runner works", async () => (await view()).inFlight > 0);

async function sleeper(seconds: number, more: Record<string, unknown> = {}): Promise<string> {
  const mark = randomUUID();
  const step = { key: "only", runtime: "shell" as const, script: `echo begun\nsleep ${seconds}\necho done\n`, ...more };
  await maia.client.apply({ name: "sleeper", env: { MARK: mark }, steps: [step] });
  return mark;
}

const endOf = ({ status, reason, failure }: Attempt) => [status, reason, failure?.code ?? null];

describe("a pause of a runner that dials out", () => {
  it("ends by itself, that long after the last task, and its queue goes on in its order (G21, F45)", async () => {
    await maiaWith({ MAIA_PAUSE_AUTO_RESUME_MS: "1500" });
    await sleeper(1);
    dial({ MAIA_RUNNER_SLOTS: "1" });
    const first = await submit("sleeper");
    await busy();
    await command("PAUSE");
    expect(await view()).toMatchObject({ status: "PAUSING", pausedUntil: null });
    const queued = [await submit("sleeper"), await submit("sleeper")];
    const pausedUntil = await eventually("the pause has an end", async () => (await view()).pausedUntil);
    const ended = (await maia.client.finished(first.id)).steps[0]!.attempts[0]!;
    expect(endOf(ended)).toEqual(["SUCCEEDED", "exited", null]);
    expect(Date.parse(pausedUntil)).toBeGreaterThanOrEqual(Date.parse(ended.finishedAt!) + 1_500);
    const starts = [];
    for (const { id } of queued) starts.push((await maia.client.finished(id)).steps[0]!.attempts[0]!.startedAt!);
    expect(starts[0]! >= pausedUntil).toBe(true);
    expect(starts).toEqual(starts.toSorted());
  });

  it.each([
    ["was killed", "UNKNOWN", "kill"],
    ["has stopped", "STOPPED", "stop"],
  ] as const)(
    "ends what waited through it when its runner %s before the resume, after the time for that (G21, F46)",
    async (_, status, end) => {
      await maiaWith({ MAIA_RESUME_QUEUE_TIMEOUT_MS: "1500" });
      await sleeper(0);
      const runner = dial();
      await is("RUNNING");
      await command("PAUSE");
      await is("PAUSED");
      const queued = await submit("sleeper");
      await runner[end]();
      await eventually("it is gone", async () => !(await view()).connected);
      await command("RESUME");
      await is(status);
      const run = await maia.client.finished(queued.id);
      expect(run).toMatchObject({ status: "FAILED", failure: { code: "RUNNER_QUEUE_TIMEOUT" } });
    },
  );
});

describe("a pause for maintenance", () => {
  it("outlasts the process that it found: PAUSED and offline, then PAUSED with the next one, which starts nothing (F71)", async () => {
    await maiaWith({});
    await sleeper(0);
    const runner = dial();
    await is("RUNNING");
    await command("PAUSE");
    const queued = await submit("sleeper");
    await runner.stop();
    await eventually("it is offline", async () => !(await view()).connected);
    expect((await view()).status).toBe("PAUSED");
    dial();
    await eventually("it is back", async () => (await view()).connected);
    expect(await view()).toMatchObject({ status: "PAUSED", inFlight: 0 });
    expect((await maia.client.job(queued.id)).status).not.toBe("SUCCEEDED");
    await command("RESUME");
    expect((await maia.client.finished(queued.id)).status).toBe("SUCCEEDED");
  });
});

describe("a runner that dials out", () => {
  it("is UNKNOWN while nothing is heard of it, and what is queued waits until it is back (F51)", async () => {
    await maiaWith({ MAIA_RUNNER_RECONNECT_WINDOW_MS: "60000" });
    await sleeper(0);
    const runner = dial();
    await is("RUNNING");
    runner.signal("SIGSTOP");
    await is("UNKNOWN");
    const queued = await submit("sleeper");
    await eventually("the job is claimed", async () => (await maia.client.job(queued.id)).runId);
    runner.signal("SIGCONT");
    const run = await maia.client.finished(queued.id);
    expect(run.steps[0]!.attempts.map(endOf)).toEqual([["SUCCEEDED", "exited", null]]);
  });

  it("loses what it has when it is frozen for longer than the window, and ends it itself when it wakes (F25, G6, G17)", async () => {
    await maiaWith({ MAIA_RUNNER_RECONNECT_WINDOW_MS: "2000" });
    const mark = await sleeper(30);
    const runner = dial({ MAIA_RUNNER_RECONNECT_WINDOW_MS: "2000" });
    const { id } = await submit("sleeper");
    await busy();
    await eventually("the step runs", async () => (await processesMarked(mark)).length > 0);
    runner.signal("SIGSTOP");
    const lost = await eventually("the attempt is lost", async () => {
      const { runId } = await maia.client.job(id);
      const first = (await maia.client.run(runId!)).steps[0]!.attempts[0]!;
      return first.status === "LOST" ? first : null;
    });
    expect(lost.failure?.code).toBe("RUNNER_LOST");
    await maia.client.call("POST", `/v1/jobs/${id}/cancel`);
    runner.signal("SIGCONT");
    expect((await maia.client.finished(id)).status).toBe("CANCELED");
    await eventually("the step is gone", async () => (await processesMarked(mark)).length === 0);
  });

  it("lets what runs end for as long as its drain limit, and ends the rest, which another process takes up (G22)", async () => {
    await maiaWith({});
    const mark = await sleeper(4);
    const runner = dial({ MAIA_DRAIN_LIMIT_MS: "1000" });
    const { id } = await submit("sleeper");
    await eventually("the step runs", async () => (await processesMarked(mark)).length > 0);
    await command("STOP");
    await is("STOPPING");
    await runner.ended();
    expect(runner.exitCode).toBe(0);
    await is("STOPPED");
    dial({}, "far-too");
    const run = await maia.client.finished(id);
    expect(run.steps[0]!.attempts.map(endOf)).toEqual([
      ["LOST", "lost", "DRAIN_TIMEOUT"],
      ["SUCCEEDED", "exited", null],
    ]);
  });

  it("gets new tokens while it works, and nothing notices (G24)", async () => {
    await maiaWith({ MAIA_TOKEN_TTL_MS: "1000" });
    const script = "for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.5; done\n";
    await sleeper(0, { script });
    dial();
    const run = await maia.client.finished((await submit("sleeper")).id);
    expect(run.steps[0]!.attempts.map(endOf)).toEqual([["SUCCEEDED", "exited", null]]);
    const lines = (await maia.client.logs(run.id)).filter(({ stream }) => stream === "stdout").map(({ line }) => line);
    expect(lines).toEqual(["1", "2", "3", "4", "5", "6", "7", "8"]);
  });

  it("that is silent when STOP comes is told when it is back; the next process is welcome (G22)", async () => {
    await maiaWith({});
    await sleeper(0);
    const runner = dial();
    await is("RUNNING");
    runner.signal("SIGSTOP");
    await is("UNKNOWN");
    await command("STOP");
    expect((await view()).status).toBe("UNKNOWN");
    runner.signal("SIGCONT");
    await runner.ended();
    expect(runner.exitCode).toBe(0);
    await is("STOPPED");
    dial();
    await is("RUNNING");
    expect((await maia.client.finished((await submit("sleeper")).id)).status).toBe("SUCCEEDED");
  });

  it("that was killed before STOP came is not stopped when it starts again (G22)", async () => {
    await maiaWith({});
    await sleeper(0);
    const runner = dial();
    await is("RUNNING");
    await runner.kill();
    await is("UNKNOWN");
    await command("STOP");
    const next = dial();
    await is("RUNNING");
    expect((await maia.client.finished((await submit("sleeper")).id)).status).toBe("SUCCEEDED");
    expect(next.running).toBe(true);
  });

  it("lost its disk, and its runner is STOPPED with the others once what it was is forgotten (G22)", async () => {
    await maiaWith({ MAIA_RUNNER_FORGET_MS: "2000", MAIA_SWEEP_MS: "200" });
    await (await running("disk-1")).kill();
    const next = await running("disk-2");
    await eventually("the other is silent", async () => (await silentOnes()) === 1);
    expect((await view()).status).toBe("RUNNING");
    await next.stop();
    await is("STOPPED");
    expect(await silentOnes()).toBe(0);
  });
});

/** A process of the runner that is known by its own disk. */
async function running(folder: string): Promise<MaiaProcess> {
  const runner = dial({}, folder);
  await eventually("it is known", async () => runner.log.includes("the gateway knows this runner"));
  return runner;
}

async function silentOnes(): Promise<number> {
  const { items } = await maia.client.get<{ items: { status: string }[] }>(`/v1/runners/${runnerId}/instances`);
  return items.filter(({ status }) => status === "SILENT").length;
}

/** Has the secret of the runner replaced while a step works for so many seconds. */
async function refreshedWhileBusy(seconds: number) {
  const mark = await sleeper(seconds);
  const runner = dial();
  const { id } = await submit("sleeper");
  await eventually("the step runs", async () => (await processesMarked(mark)).length > 0);
  const { body } = await maia.client.call<{ clientSecret: string }>("POST", `/v1/runners/${runnerId}/credentials`, {
    action: "SECRET_REFRESH",
  });
  expect((await view()).status).toBe("UNKNOWN");
  await eventually("the old secret is refused", async () => runner.log.includes("refuses MAIA_CLIENT_SECRET"));
  credentials = { ...credentials, MAIA_CLIENT_SECRET: body.clientSecret };
  return { runner, mark, id };
}

describe("a secret that is refreshed while a step runs", () => {
  it("costs the attempt nothing when its runner is restarted with the new one in time (G24, F41)", async () => {
    await maiaWith({ MAIA_RUNNER_RECONNECT_WINDOW_MS: "60000" });
    const { runner, id } = await refreshedWhileBusy(3);
    expect(await runner.stop()).toBe(0);
    dial();
    const run = await maia.client.finished(id);
    expect(run.steps[0]!.attempts.map(endOf)).toEqual([["SUCCEEDED", "exited", null]]);
    const lines = (await maia.client.logs(run.id)).filter(({ stream }) => stream === "stdout").map(({ line }) => line);
    expect(lines).toEqual(["begun", "done"]);
  });

  it("loses the attempt after the window where nobody restarts its runner, which ends the step itself (G24, F41, G17)", async () => {
    await maiaWith({ MAIA_RUNNER_RECONNECT_WINDOW_MS: "2000", MAIA_MAX_ATTEMPTS_LOST: "1" });
    const { mark, id } = await refreshedWhileBusy(600);
    const run = await maia.client.finished(id);
    expect(run.steps[0]!.attempts.map(endOf)).toEqual([["LOST", "lost", "RUNNER_LOST"]]);
    await eventually("the step is gone", async () => (await processesMarked(mark)).length === 0);
  });
});

describe("a runner that is removed with work in hand", () => {
  it("stays unless that is forced; then its attempt is LOST, its run ends with a reason, and no process stays (F42, G17, G23)", async () => {
    await maiaWith({ MAIA_RUNNER_RECONNECT_WINDOW_MS: "2000" });
    const mark = await sleeper(600);
    const runner = dial();
    const { id } = await submit("sleeper");
    await eventually("the step runs", async () => (await processesMarked(mark)).length > 0);
    const refused = await maia.client.call("DELETE", `/v1/runners/${runnerId}`);
    expect([refused.status, refused.body.code]).toEqual([409, "STATE_CONFLICT"]);
    expect(refused.body.detail).toContain("1 task is in flight");
    expect((await maia.client.call("DELETE", `/v1/runners/${runnerId}?force=true`)).status).toBe(200);
    const run = await maia.client.finished(id);
    expect([run.status, run.failure?.code]).toEqual(["FAILED", "RUNNER_NOT_ALLOWED"]);
    expect(run.steps[0]!.attempts.map(endOf)).toEqual([
      ["LOST", "lost", "RUNNER_LOST"],
      ["FAILED", "spawn_failed", "RUNNER_NOT_ALLOWED"], // nobody is allowed on it any more, and it started nowhere
    ]);
    await eventually("the step is gone", async () => (await processesMarked(mark)).length === 0);
    expect(runner.log).toContain("refuses MAIA_CLIENT_SECRET");
  });
});

describe("a runner whose disk has no room for a file of its task", () => {
  it("gives the attempt up once it has waited for as long as it may, and says why (G13, F39)", async () => {
    await maiaWith({ MAIA_RUNNER_RECONNECT_WINDOW_MS: "2000", MAIA_MAX_ATTEMPTS_LOST: "1" });
    const disk = path.join(maia.dataDir, "..", "small");
    await mkdir(disk);
    const mount = `mount -t tmpfs -o size=8m tmpfs "$0" && exec unshare --user --map-user=1000 "$@"`;
    const small = { MAIA_RUNNER_DISK_MIN: "0", MAIA_ISOLATION: "process-group" };
    dial(small, "small", ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, disk]);
    const inputSpec = { version: 2, filesInput: { uploadFiles: { required: true } } };
    await maia.client.apply({
      name: "large",
      inputSpec,
      steps: [{ key: "only", script: "export default () => ({});" }],
    });
    const bytes = "x".repeat(12 * 1_024 * 1_024);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    const headers = { authorization: `Bearer ${maia.client.key}` };
    await fetch(`${maia.url}/v1/blobs/${sha256}`, { method: "PUT", headers, body: bytes });
    const { id } = await submit("large", { files: [{ name: "large.txt", sha256 }] });
    const run = await maia.client.finished(id);
    const ends = run.steps[0]!.attempts.map(({ status, failure }) => [status, failure?.code, failure?.message]);
    expect(run.status).toBe("FAILED");
    expect(new Set(ends.map(String))).toEqual(
      new Set([`LOST,RUNNER_LOST,the runner's disk has no room for content of the task, up to ${bytes.length} bytes`]),
    );
  });
});

describe("an engine", () => {
  it("that stands still for longer than its lease loses its runs to another one, and what runs afar goes on once (G6, G7, F18)", async () => {
    await maiaWith({ MAIA_LEASE_TTL_MS: "1500", MAIA_LEASE_RENEW_MS: "300" }, "engines");
    const gate = stack.use(await Gate.closed());
    const script = "export default async (ctx) => { console.log('begun'); await fetch(ctx.env.GATE); return {}; };";
    const step = { key: "only", script };
    await maia.client.apply({ name: "gated", env: { GATE: gate.url }, steps: [step] });
    dial();
    const { id } = await submit("gated");
    await eventually("the step waits", async () => gate.isReached);
    maia.spawn("engine-2");
    await eventually("the other is there", async () => maia.part("engine-2").log.includes("steps run as"));
    await freeze(maia, "engine");
    await eventually("the other takes over", async () => maia.part("engine-2").log.includes("adopted runs"));
    gate.open();
    const run = await maia.client.finished(id);
    maia.part("engine").signal("SIGCONT");
    await eventually("it notices", async () => maia.part("engine").log.includes("the lease was lost"));
    expect(run.steps[0]!.attempts.map(endOf)).toEqual([["SUCCEEDED", "exited", null]]);
    const lines = (await maia.client.logs(run.id)).filter(({ stream }) => stream === "stdout").map(({ line }) => line);
    expect(lines).toEqual(["begun"]);
  });
});
