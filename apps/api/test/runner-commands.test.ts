import net from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { sha256Hex } from "@maia/domain";
import { anInstance, aRunner, auditOf, rowOf, statusesTold } from "./fleet-rows.js";
import { anAttempt, aRun, aWorkflow } from "./rows.js";
import { type Answer, openTestApi, type TestApi } from "./support.js";

const HOUR = 3_600_000;

let api: TestApi;
beforeAll(async () => {
  api = await openTestApi();
});
afterAll(() => api[Symbol.asyncDispose]());

const command = (runner: string, name: string, note?: string, key?: string) =>
  api.post(`/v1/runners/${runner}/commands`, { command: name, ...(note ? { note } : {}) }, key ? { key } : {});

/** A task of the runner, handed over and not ended. */
async function aTask(runnerId: string, instanceId: string): Promise<string> {
  const workflow = await aWorkflow(api, `task-${runnerId.slice(-8)}`);
  const attempt = await anAttempt(api, await aRun(api, workflow));
  await api.db.write(({ sql }) => {
    const bind = `UPDATE "Attempt" SET "status" = 'RUNNING', "runnerId" = ?, "instanceId" = ?, "handedAt" = "createdAt" WHERE "id" = ?`;
    return sql.run(bind, runnerId, instanceId, attempt);
  });
  return attempt;
}

const commandsOf = (runnerId: string) =>
  api.db.sql.all<{ type: string; instanceId: string }>(
    `SELECT "type", "instanceId" FROM "RunnerCommand" WHERE "runnerId" = ? ORDER BY "id"`,
    runnerId,
  );

describe("a pause", () => {
  it("of a runner without work begins at once and lasts 12 hours (G21, F61, F73)", async () => {
    const { id } = await aRunner(api, { name: "quiet" });
    await anInstance(api, id);
    const paused = await command(id, "PAUSE", "New drivers");
    expect(paused.status).toBe(202);
    const until = new Date(api.now.getTime() + 12 * HOUR).toISOString();
    expect(paused.json).toMatchObject({ status: "PAUSED", pausedUntil: until, connected: true });
    const before = api.now;
    api.now = new Date(before.getTime() + 12 * HOUR);
    expect((await api.get(`/v1/runners/${id}`)).json).toMatchObject({ status: "RUNNING", pausedUntil: null });
    expect((await command(id, "RESUME")).status).toBe(409);
    api.now = before;
    const [newest] = (await api.get(`/v1/runners/${id}/activity`)).json.items;
    expect(newest).toMatchObject({ action: "PAUSE", note: "New drivers", actor: expect.stringMatching(/^key_/) });
  });

  it("waits for the task that is in flight, and has no end until then (G21, F62, F67)", async () => {
    const { id } = await aRunner(api, { name: "working" });
    const task = await aTask(id, await anInstance(api, id));
    expect((await command(id, "PAUSE")).json).toMatchObject({ status: "PAUSING", pausedUntil: null, inFlight: 1 });
    await api.db.write(({ sql }) => sql.run(`UPDATE "Attempt" SET "status" = 'SUCCEEDED' WHERE "id" = ?`, task));
    expect((await api.get(`/v1/runners/${id}`)).json.status).toBe("PAUSED");
  });

  it("holds up nobody who works on workflows (F65)", async () => {
    const { id } = await aRunner(api, { name: "held" });
    await anInstance(api, id);
    expect((await command(id, "PAUSE")).json.status).toBe("PAUSED");
    const steps = [{ key: "a", script: "export default () => ({})" }];
    const published = await api.put("/v1/workflows/edited-meanwhile", { steps });
    expect([published.status, published.json.published]).toEqual([201, true]);
    const job = await api.post("/v1/jobs", { workflow: "edited-meanwhile", runner: "held" });
    expect([job.status, job.json.status]).toEqual([201, "QUEUED"]);
  });

  it("that is asked for again changes nothing, and RESUME of what is not paused is a conflict (B104)", async () => {
    const { id } = await aRunner(api, { name: "twice" });
    await anInstance(api, id);
    const first = await command(id, "PAUSE");
    const before = api.now;
    api.now = new Date(before.getTime() + HOUR);
    const second = await command(id, "PAUSE", "again");
    expect([second.status, second.json.pausedUntil]).toEqual([202, first.json.pausedUntil]);
    api.now = before;
    const resumed = await command(id, "RESUME");
    expect([resumed.status, resumed.json.status, resumed.json.pausedUntil]).toEqual([202, "RUNNING", null]);
    const late = await command(id, "RESUME");
    expect([late.status, late.json.code]).toEqual([409, "STATE_CONFLICT"]);
    expect(await statusesTold(api, id)).toEqual(["PENDING", "PAUSED", "RUNNING"]);
    expect(await auditOf(api, id)).toEqual(["runner.create", "runner.pause", "runner.resume", "runner.resume refused"]);
  });

  it("survives fifty that toggle it at once, with a history that makes sense (B104)", async () => {
    const { id } = await aRunner(api, { name: "toggled" });
    const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => command(id, i % 2 ? "RESUME" : "PAUSE")));
    expect(new Set(answers.map(({ status }) => status))).not.toContain(500);
    const pauses = await api.db.sql.all<{ resumedAt: string | null }>(
      `SELECT "resumedAt" FROM "RunnerPause" WHERE "runnerId" = ? ORDER BY "id"`,
      id,
    );
    expect(pauses.slice(0, -1).filter(({ resumedAt }) => resumedAt === null)).toEqual([]);
    const isOpen = pauses.at(-1)?.resumedAt === null;
    expect((await api.get(`/v1/runners/${id}`)).json.status).toBe(isOpen ? "PAUSED" : "PENDING");
  });

  it("leaves what became of the instances to be seen after it (F74, F75, F76)", async () => {
    const ends = [
      [{}, "RUNNING"],
      [{ stoppedAt: api.now }, "STOPPED"],
      [{ silentAt: api.now }, "UNKNOWN"],
    ] as const;
    for (const [part, status] of ends) {
      const { id } = await aRunner(api, { name: `after-${status}` });
      await anInstance(api, id, part);
      const paused = (await command(id, "PAUSE")).json;
      expect([paused.status, paused.connected]).toEqual(["PAUSED", status === "RUNNING"]);
      expect((await command(id, "RESUME")).json.status).toBe(status);
    }
  });
});

describe("RESTART and STOP", () => {
  it("tell every live instance once, which takes no more tasks from then on (G22, F49)", async () => {
    const { id } = await aRunner(api, { name: "ending" });
    const [north, south] = [await anInstance(api, id), await anInstance(api, id)];
    await anInstance(api, id, { stoppedAt: api.now });
    const told = await command(id, "RESTART", "new certificate");
    expect([told.status, told.json.status]).toEqual([202, "STOPPING"]);
    await command(id, "RESTART");
    const restarts = await commandsOf(id);
    expect(restarts.map(({ type }) => type)).toEqual(["RESTART", "RESTART"]);
    expect(new Set(restarts.map(({ instanceId }) => instanceId))).toEqual(new Set([north, south]));
    await command(id, "STOP");
    expect((await commandsOf(id)).map(({ type }) => type)).toEqual(["RESTART", "RESTART", "STOP", "STOP"]);
    expect(await auditOf(api, id)).toEqual(["runner.create", "runner.restart", "runner.stop"]);
  });

  it("are for instances too that nothing is heard of, whose runner stays UNKNOWN (G22)", async () => {
    const { id } = await aRunner(api, { name: "silent" });
    const instanceId = await anInstance(api, id, { silentAt: api.now });
    const told = await command(id, "STOP");
    expect([told.status, told.json.status]).toEqual([202, "UNKNOWN"]);
    expect(await commandsOf(id)).toEqual([{ type: "STOP", instanceId }]);
  });

  it("are refused where no instance is left that could end, and leave a pause as it is (F71)", async () => {
    const { id } = await aRunner(api, { name: "alone" });
    await anInstance(api, id, { stoppedAt: api.now });
    const refused = await command(id, "STOP");
    expect([refused.status, refused.json.code]).toEqual([409, "STATE_CONFLICT"]);
    await anInstance(api, id);
    await command(id, "PAUSE");
    expect((await command(id, "RESTART")).json.status).toBe("PAUSED");
  });
});

describe("commands", () => {
  it("are for administrators of all projects (B104, B107)", async () => {
    const { id } = await aRunner(api, { name: "guarded" });
    const { id: projectId } = (await api.post("/v1/projects", { name: "guards" })).json;
    const stranger = await api.keyOf("admin", [projectId]);
    const as = async (key: string) => [
      (await command(id, "PAUSE", undefined, key)).status,
      (await api.get(`/v1/runners/${id}/credentials`, { key })).status,
      (await api.post(`/v1/runners/${id}/credentials`, { action: "SECRET_REFRESH" }, { key })).status,
      (await api.put(`/v1/runners/${id}/allowlist`, { projects: {} }, { key })).status,
      (await api.post(`/v1/runners/${id}/connectivity`, { host: "a.invalid", port: 1 }, { key })).status,
      (await api.request("DELETE", `/v1/runners/${id}`, { key })).status,
    ];
    for (const role of ["viewer", "operator", "editor"])
      expect(await as(await api.keyOf(role))).toEqual([403, 403, 403, 403, 403, 403]);
    expect(await as(stranger)).toEqual([404, 404, 404, 404, 404, 404]);
    expect((await api.post("/v1/runners", { name: "x", platform: "aws" }, { key: stranger })).status).toBe(403);
    const viewer = await api.keyOf("viewer");
    for (const part of ["", "/activity", "/instances", "/allowlist", "/parameters", "/deployment"])
      expect([part, (await api.get(`/v1/runners/${id}${part}`, { key: viewer })).status]).toEqual([part, 200]);
  });

  it("that nobody knows, and notes that are too long, are refused by the field", async () => {
    const pointer = async (body: object) =>
      (await api.post("/v1/runners/hosted/commands", body)).json.errors[0].pointer;
    expect(await pointer({ command: "EXPLODE" })).toBe("/command");
    expect(await pointer({ command: "PAUSE", note: "n".repeat(501) })).toBe("/note");
  });
});

describe("credentials", () => {
  it("are shown to administrators, and every look is in the audit log (G24, B107, F43)", async () => {
    const { id, credentials } = await aRunner(api, { name: "seen" });
    for (let look = 0; look < 2; look++) {
      const shown = await api.get(`/v1/runners/${id}/credentials`);
      expect([shown.json, shown.headers.get("cache-control")]).toEqual([credentials, "no-store"]);
    }
    expect(await auditOf(api, id)).toEqual(["runner.create", "runner.secret_reveal", "runner.secret_reveal"]);
    const kept = await api.db.sql.all(`SELECT * FROM "AuditEvent"`);
    const history = await api.get(`/v1/runners/${id}/activity`);
    expect(JSON.stringify([kept, history.json, api.logged])).not.toContain(credentials.clientSecret);
  });

  it("are refreshed: the old secret counts no more, and its instances are cut off (G24, F45)", async () => {
    const { id, credentials } = await aRunner(api, { name: "fresh" });
    await anInstance(api, id);
    const refreshed = await api.post(`/v1/runners/${id}/credentials`, { action: "SECRET_REFRESH" });
    expect(refreshed.status).toBe(200);
    expect(refreshed.headers.get("cache-control")).toBe("no-store");
    expect(refreshed.json.clientId).toBe(credentials.clientId);
    expect(refreshed.json.clientSecret).not.toBe(credentials.clientSecret);
    const row = await rowOf(api, id);
    expect([row.secretHash, row.secretVersion]).toEqual([sha256Hex(refreshed.json.clientSecret), 2]);
    expect((await api.get(`/v1/runners/${id}`)).json.status).toBe("UNKNOWN");
    expect((await api.get(`/v1/runners/${id}/credentials`)).json).toEqual(refreshed.json);
    expect((await statusesTold(api, id)).at(-1)).toBe("UNKNOWN");
  });
});

describe("a test of a connection", () => {
  const test = (runner: string, host: string, port: number): Promise<Answer> =>
    api.post(`/v1/runners/${runner}/connectivity`, { host, port });

  /** Answers the newest order of a runner, as the gateway does when a poll brings its result. */
  async function answerNext(runnerId: string, result: object): Promise<unknown> {
    for (;;) {
      const order = await api.db.sql.get<{ id: string; data: string }>(
        `SELECT "id", "data" FROM "RunnerCommand" WHERE "runnerId" = ? AND "finishedAt" IS NULL AND "type" = 'CONNECTIVITY'`,
        runnerId,
      );
      if (!order) {
        await new Promise((resolve) => setImmediate(resolve));
        continue;
      }
      await api.db.write((tx) => {
        tx.ring("engine");
        const text = `UPDATE "RunnerCommand" SET "result" = ?, "finishedAt" = "createdAt" WHERE "id" = ?`;
        return tx.sql.run(text, JSON.stringify(result), order.id);
      });
      return JSON.parse(order.data);
    }
  }

  it("is made by one instance, and tells what that found (G25, F55, F58, F59)", async () => {
    const { id } = await aRunner(api, { name: "reaching" });
    await anInstance(api, id);
    const [asked, answer] = await Promise.all([
      answerNext(id, { result: "SUCCESS", host: "db.internal", port: 5432 }),
      test(id, "db.internal", 5432),
    ]);
    expect(asked).toEqual({ host: "db.internal", port: 5432, timeoutMs: 5_000 });
    expect([answer.status, answer.json]).toEqual([200, { result: "SUCCESS", host: "db.internal", port: 5432 }]);
    const [, refused] = await Promise.all([
      answerNext(id, { result: "TIMEOUT", detail: "connect ECONNREFUSED 10.0.0.1:1" }),
      test(id, "10.0.0.1", 1),
    ]);
    expect(refused.json).toEqual({
      result: "TIMEOUT",
      host: "10.0.0.1",
      port: 1,
      detail: "connect ECONNREFUSED 10.0.0.1:1",
    });
    const [, blocked] = await Promise.all([
      answerNext(id, { code: "URL_BLOCKED", detail: "127.0.0.1 is not an address to test (loopback)" }),
      test(id, "sneaky.example", 80),
    ]);
    expect([blocked.status, blocked.json.code]).toEqual([422, "URL_BLOCKED"]);
    expect((await commandsOf(id)).length).toBe(3);
    expect(await auditOf(api, id)).toEqual([
      "runner.create",
      "runner.connectivity",
      "runner.connectivity",
      "runner.connectivity refused",
    ]);
  });

  it("is for a RUNNING runner only (G25, F56)", async () => {
    const { id } = await aRunner(api, { name: "resting" });
    const refused = await test(id, "db.internal", 5432);
    expect([refused.status, refused.json.code]).toEqual([409, "STATE_CONFLICT"]);
    await anInstance(api, id);
    await command(id, "PAUSE");
    expect((await test(id, "db.internal", 5432)).status).toBe(409);
  });

  it("is refused by instances that are too old, in the words that people know (F60)", async () => {
    const { id } = await aRunner(api, { name: "old" });
    await anInstance(api, id, { capabilities: [] });
    const { status, json } = await test(id, "db.internal", 5432);
    expect([status, json.code]).toEqual([409, "RUNNER_VERSION_UNSUPPORTED"]);
    expect(json.detail).toBe("Runner task failed: The runner version does not support this feature");
  });

  it("never goes to loopback, link-local or metadata addresses, however they are spelled (G25)", async () => {
    const { id } = await aRunner(api, { name: "fenced" });
    await anInstance(api, id);
    for (const host of ["127.0.0.1", "localhost", "a.localhost.", "0x7f.1", "::1", "169.254.169.254", "fe80::1"]) {
      const { status, json } = await test(id, host, 80);
      expect([host, status, json.code]).toEqual([host, 422, "URL_BLOCKED"]);
    }
    expect(await commandsOf(id)).toEqual([]);
    const pointer = async (host: string, port: number) => (await test(id, host, port)).json.errors[0].pointer;
    expect([
      await pointer("a b", 80),
      await pointer("", 80),
      await pointer("a", 0),
      await pointer("a", 65_536),
    ]).toEqual(["/host", "/host", "/port", "/port"]);
  });

  it("is limited per caller, and says when to come back (G25)", async () => {
    const key = await api.keyOf("admin");
    const { id } = await aRunner(api, { name: "asked" });
    const ask = () => api.post(`/v1/runners/${id}/connectivity`, { host: "a.invalid", port: 1 }, { key });
    for (let i = 0; i < 30; i++) expect((await ask()).status).toBe(409);
    const limited = await ask();
    expect([limited.status, limited.json.code]).toEqual([429, "RATE_LIMITED"]);
    expect(Number(limited.headers.get("retry-after"))).toBeGreaterThan(0);
  });

  it("of the hosted runner is made from this host, where MAIA_URL_ALLOW says what may be reached", async () => {
    await using server = await listening();
    const target = { host: "127.0.0.1", port: server.port };
    await using own = await openTestApi({ urlAllow: `127.0.0.1:${server.port}` });
    const engine = { id: "eng_1", bellId: "b", heartbeatSeq: 1, startedAt: own.now };
    await own.db.write(({ models }) => models.engine.create({ data: engine }));
    const reached = await own.post("/v1/runners/hosted/connectivity", target);
    expect(reached.json).toEqual({ result: "SUCCESS", ...target });
    expect((await own.post("/v1/runners/hosted/connectivity", { host: "127.0.0.1", port: 1 })).status).toBe(422);
    const lost = await own.post("/v1/runners/hosted/connectivity", { host: "nowhere.invalid", port: 80 });
    expect(lost.json).toMatchObject({ result: "TIMEOUT", detail: expect.stringContaining("could not be looked up") });
  });
});

async function listening() {
  const server = net.createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as net.AddressInfo;
  const close = () => new Promise<void>((resolve) => server.close(() => resolve()));
  return { port, [Symbol.asyncDispose]: close };
}
