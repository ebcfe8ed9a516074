import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { sha256Hex } from "@maia/domain";
import { anInstance, aRunner, auditOf, rowOf } from "./fleet-rows.js";
import { anAttempt, aRun, aWorkflow } from "./rows.js";
import { openTestApi, type TestApi } from "./support.js";

let api: TestApi;
beforeAll(async () => {
  api = await openTestApi();
});
afterAll(() => api[Symbol.asyncDispose]());

const patch = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  api.request("PATCH", path, {
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(body),
  });

describe("a runner", () => {
  it("is made with credentials of its own, that are shown then and never kept in clear (F41, F42, G24)", async () => {
    const made = await api.post("/v1/runners", { name: "made", platform: "aws", description: "In Ireland" });
    expect(made.status).toBe(201);
    const { credentials, ...runner } = made.json;
    expect(made.headers.get("location")).toBe(`/v1/runners/${runner.id}`);
    expect(made.headers.get("cache-control")).toBe("no-store");
    expect(credentials).toEqual({ clientId: runner.id, clientSecret: expect.stringMatching(/^mcs_[\w-]{43}$/) });
    expect(runner).toMatchObject({
      name: "made",
      description: "In Ireland",
      type: "maia",
      platform: "aws",
      deployment: "fargate",
      track: "current",
      status: "PENDING",
      connected: false,
      pausedUntil: null,
      instances: 0,
      inFlight: 0,
      queued: 0,
      version: { reported: null, latest: null, releasedAt: null, updateAvailable: false, support: null },
    });
    expect((await api.get(`/v1/runners/${runner.id}`)).json).toEqual(runner);
    expect((await api.get("/v1/runners/made")).json).toEqual(runner);
    const row = await rowOf(api, runner.id);
    expect(row.secretHash).toBe(sha256Hex(credentials.clientSecret));
    expect(JSON.stringify(row)).not.toContain(credentials.clientSecret);
    const other = await aRunner(api, { name: "other" });
    expect(other.credentials.clientSecret).not.toBe(credentials.clientSecret);
  });

  it("is made once per Idempotency-Key, and its credentials are shown once", async () => {
    const ask = () =>
      api.post("/v1/runners", { name: "once", platform: "gcp" }, { headers: { "Idempotency-Key": "once" } });
    const [first, second] = [await ask(), await ask()];
    expect([first.json.id, first.json.credentials.clientId]).toEqual([second.json.id, second.json.id]);
    expect([second.status, second.json.credentials]).toEqual([201, undefined]);
    expect(second.headers.get("idempotent-replayed")).toBe("true");
  });

  it("has a name that no other has, until it is removed", async () => {
    const { id } = await aRunner(api, { name: "taken" });
    const again = () => api.post("/v1/runners", { name: "taken", platform: "aws" });
    expect([(await again()).status, (await again()).json.code]).toEqual([409, "STATE_CONFLICT"]);
    expect((await api.post("/v1/runners", { name: "hosted", platform: "aws" })).status).toBe(409);
    const { id: other } = await aRunner(api, { name: "free" });
    expect((await patch(`/v1/runners/${other}`, { name: "taken" })).status).toBe(409);
    expect((await api.request("DELETE", `/v1/runners/${id}`)).status).toBe(200);
    expect((await again()).status).toBe(201);
  });

  it("is refused with a pointer to all that is wrong with it", async () => {
    const { status, json } = await api.post("/v1/runners", {
      name: "a".repeat(31),
      platform: "snowflake",
      track: "current",
      config: { env: { PATH: "/" } },
    });
    expect([status, json.code]).toEqual([422, "INVALID"]);
    expect(json.errors.map(({ pointer }: { pointer: string }) => pointer)).toEqual([
      "/name",
      "/config/env/PATH",
      "/track",
    ]);
  });

  it("changes under If-Match, says what is left to do, and notes who did it (F29, F103, F104, F105)", async () => {
    const { id } = await aRunner(api, { name: "changing" });
    const etag = (await api.get(`/v1/runners/${id}`)).headers.get("etag")!;
    const changed = await patch(`/v1/runners/${id}`, { track: "stable", autoUpdate: true }, { "If-Match": etag });
    expect(changed.json).toMatchObject({ track: "stable", autoUpdate: true });
    expect(changed.json.notices.join()).toMatch(/does not update what is installed.*newer version may not run/s);
    const late = await patch(`/v1/runners/${id}`, { description: "late" }, { "If-Match": etag });
    expect([late.status, late.json.code]).toEqual([412, "PRECONDITION"]);
    expect((await patch(`/v1/runners/${id}`, { platform: "aws" })).json.errors[0].pointer).toBe("/platform");
    expect(await auditOf(api, id)).toEqual([
      "runner.create",
      "runner.update",
      "runner.update refused",
      "runner.update refused",
    ]);
    const history = (await api.get(`/v1/runners/${id}/activity`)).json.items;
    expect(history.map(({ action }: { action: string }) => action)).toEqual(["UPDATE", "CREATE"]);
  });

  it("shows what follows from its rows: status, instances, work and version (G21, F18, F25)", async () => {
    const { id } = await aRunner(api, { name: "busy" });
    const release = { version: "1.1.0", track: "current", releasedAt: "2026-11-01T00:00:00Z" };
    expect((await api.post("/v1/runner-releases", release)).status).toBe(201);
    expect((await api.post("/v1/runner-releases", { ...release, version: "1.0.0" })).status).toBe(201);
    const north = await anInstance(api, id);
    await anInstance(api, id, { silentAt: api.now, version: "0.9.0" });
    const run = await aRun(api, await aWorkflow(api));
    const attempt = await anAttempt(api, run);
    await api.db.write(async ({ sql }) => {
      const bind = `UPDATE "Attempt" SET "status" = 'RUNNING', "runnerId" = ?, "instanceId" = ?, "handedAt" = "createdAt" WHERE "id" = ?`;
      await sql.run(bind, id, north, attempt);
      await sql.run(`UPDATE "RunStep" SET "queuedFor" = ?, "queuedAt" = '2026-11-20T12:00:00.000+00:00'`, id);
    });
    await api.post("/v1/jobs", { workflow: "hello", runner: "busy" });
    const steps = (await api.db.sql.get<{ n: number }>(`SELECT COUNT(*) AS "n" FROM "RunStep"`))!.n;
    const { json } = await api.get("/v1/runners/busy");
    expect(json).toMatchObject({ status: "RUNNING", connected: true, instances: 1, inFlight: 1, queued: steps + 1 });
    expect(json.version).toEqual({
      reported: "1.0.0",
      latest: "1.1.0",
      releasedAt: "2026-11-01T00:00:00.000Z",
      updateAvailable: true,
      support: "SUPPORTED",
    });
    const listed = (await api.get("/v1/runners?limit=100")).json.items;
    expect(listed.find((runner: { id: string }) => runner.id === id)).toEqual(json);
    const instances = (await api.get(`/v1/runners/${id}/instances`)).json.items;
    expect(instances.map(({ status }: { status: string }) => status)).toEqual(["SILENT", "RUNNING"]);
  });

  it("is listed newest first, in as many questions for a page as for one runner", async () => {
    for (const name of ["page-1", "page-2", "page-3"]) await anInstance(api, (await aRunner(api, { name })).id);
    const first = (await api.get("/v1/runners?limit=2")).json;
    expect(first.items.map(({ name }: { name: string }) => name)).toEqual(["page-3", "page-2"]);
    const second = (await api.get(`/v1/runners?limit=2&cursor=${first.nextCursor}`)).json;
    expect(second.items[0].name).toBe("page-1");
    const all = api.db.sql.all.bind(api.db.sql);
    const asked: string[] = [];
    api.db.sql.all = (text, ...values) => {
      asked.push(text);
      return all(text, ...values);
    };
    try {
      await api.get("/v1/runners?limit=1");
      const forOne = asked.splice(0).length;
      await api.get("/v1/runners?limit=100");
      expect(asked.length).toBe(forOne + 1); // the hosted one is on this page, and its instances are the engines
    } finally {
      api.db.sql.all = all;
    }
  });
});

describe("the hosted runner", () => {
  it("is there from the first start, and is what Maia itself is (F89, F90, F108)", async () => {
    const { json } = await api.get("/v1/runners/hosted");
    expect(json).toMatchObject({ platform: "hosted", deployment: null, track: "current", restricted: false });
    expect(json.version).toMatchObject({ updateAvailable: false, support: "SUPPORTED" });
    const { reported, latest } = json.version as unknown as Record<string, string>;
    expect(reported).toBe(latest);
  });

  it("runs while an engine does, and has stopped when the last one said goodbye", async () => {
    const status = async () => (await api.get("/v1/runners/hosted")).json.status;
    expect(await status()).toBe("PENDING");
    const engine = { id: "eng_1", bellId: "b", heartbeatSeq: 1, startedAt: api.now };
    await api.db.write(({ models }) => models.engine.create({ data: engine }));
    expect(await status()).toBe("RUNNING");
    await api.db.write(({ models }) => models.engine.update({ where: { id: "eng_1" }, data: { endedAt: api.now } }));
    expect(await status()).toBe("STOPPED");
  });

  it("takes PAUSE and RESUME, and is managed by Maia in all else (F16)", async () => {
    const at = "/v1/runners/hosted";
    const managed = [
      await api.post(`${at}/commands`, { command: "RESTART" }),
      await api.post(`${at}/commands`, { command: "STOP" }),
      await api.get(`${at}/credentials`),
      await api.post(`${at}/credentials`, { action: "SECRET_REFRESH" }),
      await api.get(`${at}/deployment`),
      await api.get(`${at}/parameters`),
      await api.request("DELETE", `${at}?force=true`),
      await patch(at, { name: "mine" }),
    ];
    expect(managed.map(({ status, json }) => [status, json.code])).toEqual(managed.map(() => [409, "RUNNER_MANAGED"]));
    expect((await patch(at, { description: "Here" })).json.description).toBe("Here");
    expect((await api.post(`${at}/commands`, { command: "PAUSE" })).json.status).toBe("PAUSED");
    expect((await api.post(`${at}/commands`, { command: "RESUME" })).status).toBe(202);
  });
});

describe("removing a runner", () => {
  it("leaves nothing of it but its history, and names what stays at the provider (F51, F52)", async () => {
    const places = [
      ["aws", "AWS Console"],
      ["azure", "Azure Portal"],
      ["gcp", "Google Cloud Console"],
      ["snowflake", "Snowpark Container Services"],
      ["kubernetes", "your cluster"],
      ["self_managed", "your host"],
    ] as const;
    for (const [platform, place] of places) {
      const { id } = await aRunner(api, { name: `gone-${platform}`, platform });
      const instance = await anInstance(api, id);
      const gone = await api.request("DELETE", `/v1/runners/${id}`);
      expect([gone.status, gone.json.name]).toEqual([200, `gone-${platform}`]);
      expect(gone.json.remains).toContain(place);
      expect((await api.get(`/v1/runners/${id}`)).status).toBe(404);
      expect((await api.request("DELETE", `/v1/runners/${id}`)).status).toBe(404);
      expect(await rowOf(api, id)).toMatchObject({ secretHash: null, secretSealed: null, secretVersion: 2 });
      const row = await api.db.sql.get(`SELECT "silentAt" FROM "RunnerInstance" WHERE "id" = ?`, instance);
      expect(row).not.toEqual({ silentAt: null });
      expect(await auditOf(api, id)).toEqual(["runner.create", "runner.remove"]);
    }
  });

  it("is refused while somebody counts on it, and says who; force overrides that (F53)", async () => {
    const { id } = await aRunner(api, { name: "wanted" });
    await api.post("/v1/projects/default/environments", { name: "leaning", defaultRunner: "wanted" });
    await api.post("/v1/schedules", { workflow: "hello", kind: "interval", intervalMs: 60_000, runner: "wanted" });
    const { id: jobId } = (await api.post("/v1/jobs", { workflow: "hello", environment: "leaning" })).json;
    const refused = await api.request("DELETE", `/v1/runners/${id}`);
    expect([refused.status, refused.json.code]).toEqual([409, "STATE_CONFLICT"]);
    expect(refused.json.detail).toMatch(/1 job or step waits for it; 1 enabled schedule names it; .*default\/leaning/);
    const forced = await api.request("DELETE", `/v1/runners/${id}?force=true`);
    expect(forced.json).toMatchObject({ queued: 1, schedules: 1, environments: ["default/leaning"] });
    const { json } = await api.get("/v1/projects/default/environments/leaning");
    expect([json.defaultRunnerId, json.defaultRunnerName]).toEqual([null, null]);
    expect((await api.get(`/v1/jobs/${jobId}`)).json.runnerName).toBe("wanted");
    expect((await api.get(`/v1/jobs/${jobId}/why`)).json.items[0].code).toBe("RUNNER_NOT_ALLOWED");
    expect(await auditOf(api, id)).toEqual(["runner.create", "runner.remove refused", "runner.remove"]);
    expect((await api.post("/v1/jobs", { workflow: "hello", runner: id })).status).toBe(404);
  });

  it("ends a pause, so that what waits for it can end", async () => {
    const { id } = await aRunner(api, { name: "asleep" });
    await api.post(`/v1/runners/${id}/commands`, { command: "PAUSE" });
    await api.request("DELETE", `/v1/runners/${id}`);
    expect(
      await api.db.sql.all(`SELECT 1 FROM "RunnerPause" WHERE "runnerId" = ? AND "resumedAt" IS NULL`, id),
    ).toEqual([]);
  });
});
