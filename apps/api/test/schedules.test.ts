import { afterAll, afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { findScheduleView } from "@maia/db";
import { HOUR, MINUTE, planTicks } from "@maia/domain";
import { accountFor } from "@maia/intake";
import { openSchemaWorker } from "@maia/schema";
import { openTestApi, type TestApi } from "./support.js";

let api: TestApi;
const schemas = openSchemaWorker({ validateMs: 500, maxBytes: 65_536, nodesMax: 2_000 });

beforeEach(async () => {
  api = await openTestApi(); // it is 2026-11-20T12:00:00.000Z
  const paramsSchema = { type: "object", properties: { top: { type: "integer", maximum: 10, default: 3 } } };
  const inputSpec = { version: 2, paramsSchema };
  await api.put("/v1/workflows/hello", { inputSpec, steps: [{ key: "a", script: "x" }] });
});

afterEach(() => api[Symbol.asyncDispose]());
afterAll(async () => {
  await schemas[Symbol.asyncDispose]();
});

const hourly = { workflow: "hello", kind: "cron", cron: "0 * * * *" };

async function made(body: object = {}) {
  const answer = await api.post("/v1/schedules", { ...hourly, ...body });
  expect([answer.status, answer.text]).toEqual([201, expect.any(String)]);
  return answer;
}

const patch = (id: string, body: object, headers: Record<string, string> = {}) =>
  api.request("PATCH", `/v1/schedules/${id}`, {
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
const pass = (ms: number) => {
  api.now = new Date(api.now.getTime() + ms);
};

/** What an engine does when it looks. */
async function engineLooks(id: string): Promise<void> {
  const schedule = (await findScheduleView(api.db.sql, null, id))!;
  const context = { db: api.db, schemas, idempotencyTtlMs: 1_000 };
  await accountFor(context, schedule, planTicks(schedule, api.now), api.now);
}

const outcomes = async (id: string) =>
  (await api.get(`/v1/schedules/${id}/ticks`)).json.items.map(
    ({ dueAt, outcome }: { dueAt: string; outcome: string }) => `${dueAt.slice(11, 16)} ${outcome}`,
  );

describe("a schedule", () => {
  it("is made with defaults, found, listed, and knows its next instants in UTC and by its own clock", async () => {
    const { json, headers } = await made({ name: "Nightly", cron: "30 2 * * *", timezone: "Europe/Berlin" });
    expect(headers.get("location")).toBe(`/v1/schedules/${json.id}`);
    expect(json).toMatchObject({
      name: "Nightly",
      workflow: "hello",
      version: null,
      misfire: "fire_once",
      overlap: "skip",
      enabled: true,
      params: {},
      urlFiles: [],
      environment: null,
      nextRunAt: "2026-11-21T01:30:00.000Z",
      lastRunAt: null,
      lastTick: null,
    });
    const found = await api.get(`/v1/schedules/${json.id}`);
    expect([found.json, found.headers.get("etag")]).toEqual([json, headers.get("etag")]);
    expect((await api.get("/v1/schedules?workflow=hello&enabled=true")).json).toEqual({
      items: [json],
      nextCursor: null,
    });
    expect((await api.get("/v1/schedules?enabled=false")).json.items).toEqual([]);
    expect((await api.get(`/v1/schedules/${json.id}/upcoming?count=2`)).json).toEqual({
      timezone: "Europe/Berlin",
      items: [
        { dueAt: "2026-11-21T01:30:00.000Z", localTime: "2026-11-21T02:30:00+01:00" },
        { dueAt: "2026-11-22T01:30:00.000Z", localTime: "2026-11-22T02:30:00+01:00" },
      ],
    });
    expect((await api.get(`/v1/schedules/${json.id}/upcoming`)).json.items).toHaveLength(5);
    expect((await api.get(`/v1/schedules/${json.id}/upcoming?count=101`)).status).toBe(422);
  });

  it("is refused where its job would be, and where its rules are wrong, with a pointer to each fault", async () => {
    const post = (body: object) => api.post("/v1/schedules", { ...hourly, ...body });
    expect((await post({ workflow: "ghost" })).status).toBe(404);
    expect((await post({ version: 9 })).status).toBe(404);
    expect((await post({ environment: "ghost" })).status).toBe(404);
    expect((await post({ params: { top: 11 } })).json.errors[0].pointer).toBe("/params/top");
    expect((await post({ params: { files: [] } })).json.code).toBe("RESERVED_KEY");
    const odd = await post({
      cron: "61 * * * *",
      timezone: "Mars/X",
      overlap: 1,
      files: [],
      extra: 1,
      name: "a\u0000",
    });
    expect(odd.json.errors.map(({ pointer }: { pointer: string }) => pointer).sort()).toEqual([
      "/cron",
      "/extra",
      "/files",
      "/name",
      "/overlap",
      "/timezone",
    ]);
    expect((await post({ urlFiles: [{ url: "http://example.org/a.csv" }] })).json.urlFiles).toEqual([
      { url: "http://example.org/a.csv", name: "a.csv" },
    ]);
  });

  it("is made once per Idempotency-Key, and every change leaves a trace", async () => {
    const options = { headers: { "Idempotency-Key": "once" } };
    const [first, again] = [
      await api.post("/v1/schedules", hourly, options),
      await api.post("/v1/schedules", hourly, options),
    ];
    expect([again.json.id, again.headers.get("idempotent-replayed")]).toEqual([first.json.id, "true"]);
    await api.request("DELETE", "/v1/workflows/hello");
    expect((await api.post("/v1/schedules", hourly, options)).json.id).toBe(first.json.id);
    expect((await api.post("/v1/schedules", { ...hourly, name: "n" }, options)).json.code).toBe(
      "IDEMPOTENCY_KEY_REUSED",
    );
    await patch(first.json.id, { enabled: false });
    await api.request("DELETE", `/v1/schedules/${first.json.id}`);
    const rows = await api.db.sql.all<{ action: string }>(
      `SELECT "action" FROM "AuditEvent" WHERE "target" = ? ORDER BY "seq"`,
      first.json.id,
    );
    expect(rows.map(({ action }) => action)).toEqual(["schedule.create", "schedule.update", "schedule.delete"]);
  });

  it("is changed by who has seen the last change; the engine's notes are none", async () => {
    const { json, headers } = await made();
    const etag = headers.get("etag")!;
    pass(HOUR + MINUTE / 2);
    await engineLooks(json.id);
    const changed = await patch(json.id, { params: { top: 5 }, name: "n", version: 1 }, { "If-Match": etag });
    expect([changed.status, changed.json.params, changed.json.version]).toEqual([200, { top: 5 }, 1]);
    expect((await patch(json.id, { params: {} }, { "If-Match": etag })).status).toBe(412);
    expect((await api.request("DELETE", `/v1/schedules/${json.id}`, { headers: { "If-Match": etag } })).status).toBe(
      412,
    );
    expect((await patch(json.id, { name: null, version: null })).json).toMatchObject({ name: null, version: null });
    expect((await patch(json.id, { workflow: "hello" })).json.errors[0].pointer).toBe("/workflow");
    expect((await patch(json.id, { params: { top: 11 } })).json.errors[0].pointer).toBe("/params/top");
    expect((await patch(json.id, { cron: null })).json.errors[0].pointer).toBe("/cron");
  });

  it("changes from cron to interval and back, and counts an interval from the change", async () => {
    const { id } = (await made()).json;
    pass(MINUTE);
    const interval = (await patch(id, { kind: "interval", intervalMs: 90_000 })).json;
    expect(interval).toMatchObject({ cron: null, intervalMs: 90_000, nextRunAt: "2026-11-20T12:02:30.000Z" });
    expect((await patch(id, { kind: "cron" })).json.errors[0].pointer).toBe("/cron");
    expect((await patch(id, { kind: "cron", cron: "0 0 * * *" })).json).toMatchObject({
      intervalMs: null,
      nextRunAt: "2026-11-21T00:00:00.000Z",
    });
  });

  it("waits for nothing while it is disabled, and goes on from the next instant when it is enabled", async () => {
    const { id } = (await made({ kind: "interval", cron: null, intervalMs: HOUR })).json;
    pass(MINUTE);
    expect((await patch(id, { enabled: false })).json).toMatchObject({ enabled: false, nextRunAt: null });
    expect((await api.get(`/v1/schedules/${id}/upcoming`)).json.items).toEqual([]);
    pass(3 * HOUR);
    expect((await patch(id, { enabled: true })).json.nextRunAt).toBe("2026-11-20T16:00:00.000Z");
    expect(await outcomes(id)).toEqual([]);
  });

  it("accounts for what had come due before its time is changed", async () => {
    const { id } = (await made()).json;
    pass(2 * HOUR + MINUTE);
    expect((await patch(id, { name: "the same times" })).json.nextRunAt).toBe("2026-11-20T13:00:00.000Z");
    expect((await patch(id, { cron: "30 * * * *" })).json.nextRunAt).toBe("2026-11-20T14:30:00.000Z");
    expect(await outcomes(id)).toEqual(["14:00 missed", "13:00 missed"]);
    pass(30 * MINUTE);
    await engineLooks(id);
    expect(await outcomes(id)).toEqual(["14:30 fired", "14:00 missed", "13:00 missed"]);
    expect((await api.get(`/v1/schedules/${id}/ticks?outcome=missed`)).json.items).toHaveLength(2);
    const first = (await api.get(`/v1/schedules/${id}/ticks?limit=2`)).json;
    const rest = (await api.get(`/v1/schedules/${id}/ticks?limit=2&cursor=${first.nextCursor}`)).json;
    expect(rest.items.map(({ dueAt }: { dueAt: string }) => dueAt)).toEqual(["2026-11-20T13:00:00.000Z"]);
    expect((await api.get(`/v1/schedules/${id}/ticks?cursor=x`)).json.code).toBe("BAD_CURSOR");
  });

  it("accounts for no instant twice when clocks go back and somebody enables it again (G27)", async () => {
    const { id } = (await made()).json;
    pass(HOUR);
    await engineLooks(id);
    pass(-HOUR / 2);
    await patch(id, { enabled: false });
    expect((await patch(id, { enabled: true })).json.nextRunAt).toBe("2026-11-20T14:00:00.000Z");
    await patch(id, { cron: "*/30 * * * *" });
    pass(HOUR / 2);
    await engineLooks(id);
    expect(await outcomes(id)).toEqual(["13:00 fired"]);
    expect((await api.get(`/v1/jobs?scheduleId=${id}`)).json.items).toHaveLength(1);
  });

  it("makes its job by hand, disabled or not, whatever runs, and once per Idempotency-Key", async () => {
    const { id } = (await made({ enabled: false, params: { top: 5 }, labels: { team: "x" }, priority: 2 })).json;
    const options = { headers: { "Idempotency-Key": "now" } };
    const first = await api.post(`/v1/schedules/${id}/trigger`, undefined, options);
    expect([first.status, first.headers.get("location")]).toEqual([201, `/v1/jobs/${first.json.id}`]);
    expect(first.json).toMatchObject({
      trigger: "manual",
      scheduleId: id,
      params: { top: 5 },
      labels: { team: "x" },
      priority: 2,
    });
    expect((await api.post(`/v1/schedules/${id}/trigger`, undefined, options)).json.id).toBe(first.json.id);
    const second = await api.post(`/v1/schedules/${id}/trigger`, {}, { key: await api.keyOf("operator") });
    expect([second.status, second.json.id === first.json.id]).toEqual([201, false]);
    const { json } = await api.get(`/v1/schedules/${id}`);
    expect([json.lastRunAt, json.lastTick, json.nextRunAt]).toEqual([api.now.toISOString(), null, null]);
    expect((await api.post(`/v1/schedules/${id}/trigger`, {}, { key: await api.keyOf("viewer") })).status).toBe(403);
    expect((await api.post("/v1/schedules", hourly, { key: await api.keyOf("operator") })).status).toBe(403);
    expect((await api.post("/v1/schedules", hourly, { key: await api.keyOf("editor") })).status).toBe(201);
  });

  it("can be disabled and deleted though its workflow is gone, and its jobs stay", async () => {
    const { id } = (await made()).json;
    const job = (await api.post(`/v1/schedules/${id}/trigger`)).json;
    await api.request("DELETE", "/v1/workflows/hello");
    pass(HOUR);
    await engineLooks(id);
    const tick = (await api.get(`/v1/schedules/${id}/ticks`)).json.items[0];
    expect(tick).toMatchObject({ outcome: "skipped", jobId: null }); // the job by hand still waits
    await api.post(`/v1/jobs/${job.id}/cancel`);
    pass(HOUR);
    await engineLooks(id);
    expect((await api.get(`/v1/schedules/${id}`)).json.lastTick).toMatchObject({ outcome: "failed", jobId: null });
    expect((await api.get(`/v1/schedules/${id}/ticks`)).json.items[0].failure.code).toBe("NOT_FOUND");
    expect((await patch(id, { enabled: false })).status).toBe(200);
    expect((await patch(id, { enabled: true })).status).toBe(404);
    expect((await api.request("DELETE", `/v1/schedules/${id}`)).status).toBe(204);
    expect((await api.get(`/v1/schedules/${id}`)).status).toBe(404);
    expect((await api.get("/v1/schedules")).json.items).toEqual([]);
    expect((await api.get(`/v1/jobs/${job.id}`)).json.scheduleId).toBe(id);
  });
});
