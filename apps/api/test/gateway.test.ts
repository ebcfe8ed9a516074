import { afterAll, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import { createRunnerCommand, gatewayBeats, readCommand, requestCancel, requestStop, toDbTime } from "@maia/db";
import type { Task } from "@maia/runner-protocol";
import {
  aLife,
  anOffer,
  aRunner,
  attemptRow,
  openFleetApi,
  type Published,
  pause,
  published,
  resume,
  ScriptedRunner,
  type TestRunner,
} from "./fleet.js";
import type { TestApi } from "./support.js";

let api: TestApi;
let workflow: Published;
let runner: TestRunner;
let us: ScriptedRunner;
let count = 0;

beforeAll(async () => {
  api = await openFleetApi(150);
  workflow = await published(api, "fleet");
});
afterAll(() => api[Symbol.asyncDispose]());
beforeEach(async () => {
  runner = await aRunner(api, `runner-${++count}`);
  us = await ScriptedRunner.connect(api, runner);
});

const engineRings = async (api: TestApi, action: () => Promise<unknown>) => {
  let rings = 0;
  const unlisten = api.db.bell("engine").listen(() => rings++);
  await action();
  unlisten();
  return rings;
};

describe("Hello", () => {
  it("makes an instance known, and the same ledger again one generation later (G24)", async () => {
    const { status, json, headers } = await us.hello({ labels: { zone: "a" }, capabilities: ["connectivity"] });
    expect([status, json.instanceId, json.generation, json.heartbeatMs]).toEqual([200, us.instanceId, 2, 150]);
    expect(headers.get("Maia-Protocol")).toBe("1.0");
    const other = await ScriptedRunner.connect(api, runner, "lgr_other");
    expect(other.instanceId).not.toBe(us.instanceId);
    expect(other.generation).toBe(1);
  });

  it("that a process repeats, or that arrives late, does not supersede that process (G24)", async () => {
    const first = await us.hello({ processId: "process-1" });
    const again = await us.hello({ processId: "process-1" });
    expect([again.status, again.json.generation]).toEqual([200, first.json.generation]);
    const other = await us.hello({ processId: "process-2" });
    expect([other.json.instanceId, other.json.generation]).toEqual([us.instanceId, first.json.generation + 1]);
    expect((await us.hello()).json.generation).toBe(first.json.generation + 2);
  });

  it("of another major version of the protocol is refused, and of the same one is not", async () => {
    const refused = await us.hello({ protocol: "2.0" });
    expect([refused.status, refused.json.code]).toEqual([409, "RUNNER_VERSION_UNSUPPORTED"]);
    expect((await us.hello({ protocol: "1.9", more: { of: "it" } })).status).toBe(200);
  });

  it("with absurd values is kept as bounded text, or refused with the field's name (B109)", async () => {
    const long = "9".repeat(100_000);
    expect((await us.hello({ version: `${long}\u0000`, capabilities: [long], isolation: long })).status).toBe(200);
    const row = await api.db.sql.get<Record<string, string>>(
      `SELECT "version", "capabilities", "isolation" FROM "RunnerInstance" WHERE "id" = ?`,
      us.instanceId,
    );
    expect(Object.values(row!).every((text) => text.length <= 70)).toBe(true);
    for (const [field, value] of [
      ["slots", 1e9],
      ["slots", -1],
      ["ledgerId", "../../etc"],
      ["ledgerId", long],
      ["labels", { a: 1 }],
      ["version", { $gt: "" }],
    ] as const) {
      const { status, json } = await us.hello({ [field]: value });
      expect([field, status, json.errors[0].pointer.startsWith(`/${field}`)]).toEqual([field, 422, true]);
    }
  });

  it("drops what the process before it was told, so that a restart happens once", async () => {
    const id = await api.db.write((tx) => createRunnerCommand(tx, { ...us, type: "RESTART" }, api.now));
    await us.hello();
    expect((await us.poll()).json.commands).toEqual([]);
    expect((await readCommand(api.db.sql, id))?.finishedAt).not.toBeNull();
  });
});

describe("A poll", () => {
  it("is a sign of life, and tells the engine only what changes its placing", async () => {
    await us.poll({ free: 4 });
    const quiet = await engineRings(api, () => us.poll({ free: 4, load: { cpu: 0.1 } }));
    expect(quiet).toBe(0);
    expect(await engineRings(api, () => us.poll({ free: 3, load: { cpu: 0.9 } }))).toBe(0);
    expect(await engineRings(api, () => us.poll({ free: 3, load: { cpu: 0.2 } }))).toBe(1);
    expect(await engineRings(api, () => us.poll({ free: 4 }))).toBe(0);
    await api.db.write(({ sql }) =>
      sql.run(`UPDATE "RunnerInstance" SET "silentAt" = ? WHERE "id" = ?`, toDbTime(api.now), us.instanceId),
    );
    expect(await engineRings(api, () => us.poll({ free: 4 }))).toBe(1);
    const text = `SELECT "free", "load", "silentAt", "heartbeatSeq" FROM "RunnerInstance" WHERE "id" = ?`;
    expect(await api.db.sql.get(text, us.instanceId)).toEqual({
      free: 4,
      load: "{}",
      silentAt: null,
      heartbeatSeq: 4,
    });
  });

  it("hands an offered attempt over, once it is noted, with all that its step needs", async () => {
    const bound = await anOffer(api, us, workflow);
    const { tasks } = (await us.poll()).json as { tasks: (Task & { inline: Record<string, string> })[] };
    expect(tasks.map(({ attemptId, token, kind }) => ({ attemptId, token, kind }))).toEqual([
      { attemptId: bound.ref.id, token: bound.token, kind: "step" },
    ]);
    expect(tasks[0]).toMatchObject({ stepKey: "first", runId: bound.run.id, reconnectWindowMs: 600_000, deps: null });
    const script = Buffer.from(tasks[0]!.inline[tasks[0]!.script.sha256]!, "base64").toString();
    expect(script).toBe("export default () => ({})");
    expect((await attemptRow(api, bound.ref.id))?.handedAt).not.toBeNull();
  });

  it("that brings no news soon after the last one costs no write, and is answered all the same", async () => {
    const seq = async () =>
      (await api.db.sql.get<{ seq: number }>(
        `SELECT "heartbeatSeq" AS "seq" FROM "RunnerInstance" WHERE "id" = ?`,
        us.instanceId,
      ))!.seq;
    await us.poll();
    const before = await seq();
    expect((await us.poll()).json).toEqual({ tasks: [], commands: [], openTransactions: 0 });
    expect(await seq()).toBe(before);
    api.now = new Date(api.now.getTime() + 51);
    await us.poll();
    expect(await seq()).toBe(before + 1);
    api.now = new Date(api.now.getTime() - 60_000); // the clock is set back
    await us.poll();
    expect(await seq()).toBe(before + 2);
  });

  it("of an instance that is full is answered once one of its slots is free, without another word of it", async () => {
    const one = await anOffer(api, us, workflow);
    await us.poll();
    const waits = us.poll({ free: 0, accepting: true, running: [one.ref.id] });
    await us.frames(one, aLife(one));
    const next = await anOffer(api, us, workflow);
    expect((await waits).json.tasks[0].attemptId).toBe(next.ref.id);
    expect((await us.poll({ free: 4, accepting: false, running: [] })).json.tasks).toEqual([]);
  });

  it("is handed the same attempt until it names it, and not after that (G6)", async () => {
    const { ref } = await anOffer(api, us, workflow);
    expect(await us.tasks()).toEqual([ref.id]);
    expect(await us.tasks()).toEqual([ref.id]);
    expect(await us.tasks({ gotTasks: [ref.id] })).toEqual([]);
    expect(await us.tasks({ running: [ref.id] })).toEqual([]);
  });

  it("is handed no more than it has room for", async () => {
    const ids: string[] = [];
    for (let i = 0; i < 3; i++) ids.push((await anOffer(api, us, workflow)).ref.id);
    expect(await us.tasks({ free: 0 })).toEqual([]);
    expect(await us.tasks({ free: 2 })).toEqual(ids.slice(0, 2));
    expect(await us.tasks({ free: 1, running: ids.slice(0, 2) })).toEqual(ids.slice(2));
  });

  it("is handed nothing that is bound to another instance, or not offered yet", async () => {
    const other = await ScriptedRunner.connect(api, runner, "lgr_other");
    await anOffer(api, other, workflow);
    await anOffer(api, us, workflow, { isOffered: false });
    expect(await us.tasks()).toEqual([]);
  });

  it("gets a task that ran before its process was restarted again, so that the ledger tells what became of it", async () => {
    const bound = await anOffer(api, us, workflow);
    await us.poll();
    expect((await us.frames(bound, aLife(bound).slice(0, 1))).json).toEqual({ ackedSeq: 1, ended: false });
    await us.hello();
    expect(await us.tasks()).toEqual([bound.ref.id]);
  });

  it("of an instance that has said goodbye is told to say hello", async () => {
    expect((await us.goodbye()).status).toBe(204);
    expect((await us.goodbye()).status).toBe(204);
    expect((await us.poll()).status).toBe(404);
    await us.hello();
    expect((await us.poll()).status).toBe(200);
  });

  it("confirms commands and brings what came of them", async () => {
    const data = { host: "db.example", port: 5432, timeoutMs: 100 };
    const id = await api.db.write((tx) => createRunnerCommand(tx, { ...us, type: "CONNECTIVITY", data }, api.now));
    for (let i = 0; i < 2; i++)
      expect((await us.poll()).json.commands).toEqual([{ id, type: "CONNECTIVITY", ...data }]);
    expect((await us.poll({ gotCommands: [id] })).json.commands).toEqual([]);
    const other = await ScriptedRunner.connect(api, await aRunner(api, `other-${count}`));
    await other.poll({ results: [{ id, result: { result: "TIMEOUT" } }] });
    expect((await readCommand(api.db.sql, id))?.result).toBeNull();
    await us.poll({ results: [{ id, result: { result: "SUCCESS" } }] });
    expect(JSON.parse((await readCommand(api.db.sql, id))?.result ?? "")).toEqual({ result: "SUCCESS" });
  });
});

describe("A task that cannot be built", () => {
  it("ends its attempt, says why, and does not hold up the others", async () => {
    const needy = await published(api, `needy-${count}`, { secrets: ["NOWHERE"] });
    const bad = await anOffer(api, us, needy);
    const good = await anOffer(api, us, workflow);
    expect(await us.tasks()).toEqual([good.ref.id]);
    const row = await attemptRow(api, bad.ref.id);
    expect([row?.status, JSON.parse(row?.failure ?? "{}").code]).toEqual(["FAILED", "STEP_SPAWN_FAILED"]);
  });

  it("for want of pinned packages ends its attempt, and with them it brings the lock", async () => {
    const packed = await published(api, `packed-${count}`, { dependencies: { npm: { "is-odd": "^3.0.0" } } });
    const early = await anOffer(api, us, packed);
    expect(await us.tasks()).toEqual([]);
    expect((await attemptRow(api, early.ref.id))?.status).toBe("FAILED");
    await api.db.write(({ sql }) =>
      sql.run(`UPDATE "WorkflowVersion" SET "depsLock" = 'LOCK' WHERE "id" = ?`, packed.versionId),
    );
    await anOffer(api, us, packed);
    const [task] = (await us.poll()).json.tasks as Task[];
    expect(task?.deps).toMatchObject({ npm: { "is-odd": "^3.0.0" }, lock: "LOCK" });
  });
});

describe("A pause", () => {
  it("between offer and hand-over holds the task, and the end of the pause lets it go (G21)", async () => {
    const { ref } = await anOffer(api, us, workflow);
    await pause(api, runner.id);
    expect(await us.tasks()).toEqual([]);
    expect((await attemptRow(api, ref.id))?.handedAt).toBeNull();
    await resume(api, runner.id);
    expect(await us.tasks()).toEqual([ref.id]);
  });

  it("takes back a task whose answer was lost, and leaves alone what runs (G21)", async () => {
    const lost = await anOffer(api, us, workflow);
    const runs = await anOffer(api, us, workflow);
    await us.poll();
    await us.frames(runs, aLife(runs).slice(0, 1));
    await pause(api, runner.id);
    expect(await us.tasks({ running: [runs.ref.id] })).toEqual([]);
    expect((await attemptRow(api, lost.ref.id))?.handedAt).toBeNull();
    expect((await attemptRow(api, runs.ref.id))?.handedAt).not.toBeNull();
    expect((await us.frames(runs, aLife(runs))).json.ended).toBe(true);
  });

  it("and a stop let a transaction that is open on the instance go on (G21, G22)", async () => {
    const steps = [
      { key: "first", runtime: "node", script: "export default () => ({})", transaction: "money" },
      { key: "undo", runtime: "node", script: "export default () => ({})", transaction: "money", rollback: true },
    ];
    const grouped = await published(api, `grouped-${count}`, { steps });
    const member = await anOffer(api, us, grouped);
    const stranger = await anOffer(api, us, grouped);
    const transaction = { runId: member.run.id, name: "money", runnerId: runner.id, instanceId: us.instanceId };
    await api.db.write(({ models }) =>
      models.stepTransaction.create({ data: { ...transaction, ledgerId: us.ledgerId, openedAt: api.now } }),
    );
    await pause(api, runner.id);
    expect(await us.tasks({ stopping: true })).toEqual([member.ref.id]);
    expect((await attemptRow(api, stranger.ref.id))?.handedAt).toBeNull();
  });
});

describe("An instance that stops", () => {
  it("is told so once the transactions have ended that are open on it (G22)", async () => {
    const { run } = await anOffer(api, us, workflow);
    const transaction = { runId: run.id, name: "money", runnerId: runner.id, instanceId: us.instanceId };
    await api.db.write(({ models }) =>
      models.stepTransaction.create({ data: { ...transaction, ledgerId: us.ledgerId, openedAt: api.now } }),
    );
    await api.db.write((tx) => createRunnerCommand(tx, { ...us, type: "RESTART" }, api.now));
    expect((await us.poll()).json.commands).toEqual([]);
    await api.db.write(({ models }) => models.stepTransaction.updateMany({ data: { closedAt: api.now } }));
    expect((await us.poll()).json.commands).toMatchObject([{ type: "RESTART" }]);
  });

  it.each(["says so", "was told so"])("and %s gets no new tasks (G22)", async (how) => {
    const { ref } = await anOffer(api, us, workflow);
    if (how === "was told so") await api.db.write((tx) => createRunnerCommand(tx, { ...us, type: "STOP" }, api.now));
    const { tasks, commands } = (await us.poll(how === "says so" ? { stopping: true } : {})).json;
    expect(tasks).toEqual([]);
    expect(commands.map(({ type }: { type: string }) => type)).toEqual(how === "says so" ? [] : ["STOP"]);
    expect((await attemptRow(api, ref.id))?.handedAt).toBeNull();
  });
});

describe("A STOP while nothing is heard of an instance", () => {
  const silence = () =>
    api.db.write(({ sql }) =>
      sql.run(`UPDATE "RunnerInstance" SET "silentAt" = ? WHERE "id" = ?`, toDbTime(api.now), us.instanceId),
    );
  const stop = () => api.post(`/v1/runners/${runner.id}/commands`, { command: "STOP" });

  it("is told when it polls again, and it gets nothing new (G22)", async () => {
    await silence();
    expect((await stop()).status).toBe(202);
    await anOffer(api, us, workflow);
    const { json } = await us.poll();
    expect([json.tasks, json.commands]).toEqual([[], [expect.objectContaining({ type: "STOP" })]]);
    expect((await api.get(`/v1/runners/${runner.id}`)).json.status).toBe("STOPPING");
  });

  it("counts alone where it comes after a RESTART that was not told yet (G22)", async () => {
    await silence();
    await api.post(`/v1/runners/${runner.id}/commands`, { command: "RESTART" });
    await stop();
    expect((await us.poll()).json.commands).toEqual([expect.objectContaining({ type: "STOP" })]);
  });

  it("is not for the process that says hello in its place (G22)", async () => {
    await silence();
    await stop();
    await us.hello();
    expect((await us.poll()).json.commands).toEqual([]);
    expect((await api.get(`/v1/runners/${runner.id}`)).json.status).toBe("RUNNING");
  });
});

describe("The allow list", () => {
  it("counts up to the hand-over: what it no longer names ends, and its run is told why (G23)", async () => {
    const { ref } = await anOffer(api, us, workflow);
    await api.db.write(({ sql }) => sql.run(`UPDATE "Runner" SET "restricted" = 1 WHERE "id" = ?`, runner.id));
    expect(await us.tasks()).toEqual([]);
    const row = await attemptRow(api, ref.id);
    expect([row?.status, JSON.parse(row?.failure ?? "{}").code]).toEqual(["FAILED", "RUNNER_NOT_ALLOWED"]);
    const list = JSON.stringify({ projects: { [workflow.projectId]: { environments: ["default"] } } });
    await api.db.write(({ sql }) => sql.run(`UPDATE "Runner" SET "allowlist" = ? WHERE "id" = ?`, list, runner.id));
    const named = await anOffer(api, us, workflow);
    expect(await us.tasks()).toEqual([named.ref.id]);
  });
});

describe("A cancel", () => {
  it("before the hand-over ends the attempt here: it never starts (G16)", async () => {
    const { ref, run } = await anOffer(api, us, workflow);
    await api.db.write((tx) => requestCancel(tx, run.jobId, api.now));
    expect((await us.poll()).json).toMatchObject({ tasks: [], commands: [] });
    const row = await attemptRow(api, ref.id);
    expect([row?.status, row?.reason]).toEqual(["CANCELED", "canceled"]);
  });

  it("after it comes with each answer until the attempt has ended (G16)", async () => {
    const bound = await anOffer(api, us, workflow);
    const running = [bound.ref.id];
    await us.poll();
    await api.db.write((tx) => requestStop(tx, bound.run, bound.ref.id, api.now));
    const first = (await us.poll({ running })).json.commands;
    expect(first).toEqual([
      { id: expect.any(String), type: "CANCEL", attemptId: bound.ref.id, token: bound.token, mode: "stop" },
    ]);
    expect((await us.poll({ running, gotCommands: [first[0].id] })).json.commands).toEqual(first);
    const exit = { type: "exit", lastSeq: 0, exitCode: null, signal: null, reason: "canceled", error: null } as const;
    expect((await us.frames(bound, [exit])).json).toEqual({ ackedSeq: 0, ended: true });
    expect((await us.poll()).json.commands).toEqual([]);
    expect((await attemptRow(api, bound.ref.id))?.status).toBe("CANCELED");
  });

  it("is told instead of a task whose answer was lost (G16)", async () => {
    const { ref, run } = await anOffer(api, us, workflow);
    await us.poll();
    await api.db.write((tx) => requestCancel(tx, run.jobId, api.now));
    const { tasks, commands } = (await us.poll()).json;
    expect([tasks, commands[0].attemptId]).toEqual([[], ref.id]);
  });
});

describe("The gateway's beat", () => {
  it("shows that polls are taken while there are instances, and goes with the server", async () => {
    const own = await openFleetApi(20);
    const beats = async () => (await gatewayBeats(own.db.sql)).map(({ heartbeatSeq }) => heartbeatSeq);
    try {
      expect(await beats()).toEqual([]);
      const runner = await ScriptedRunner.connect(own, await aRunner(own, "beating"));
      const [first] = await beats();
      expect(first).toBeGreaterThan(0);
      while ((await beats())[0]! < first! + 2) await runner.poll();
      await own.stop();
      expect(await beats()).toEqual([]);
    } finally {
      await own[Symbol.asyncDispose]();
    }
  });
});
