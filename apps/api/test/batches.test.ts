import { hash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { toDbTime } from "@maia/db";
import { aJob, aWorkflow } from "./rows.js";
import { follow } from "./sse-client.js";
import { openTestApi, type TestApi } from "./support.js";

let api: TestApi;
beforeAll(async () => {
  api = await openTestApi();
  const paramsSchema = {
    type: "object",
    properties: { city: { type: "string" }, top: { type: "integer", minimum: 1 } },
    required: ["city"],
  };
  const steps = [{ key: "a", script: "export default () => ({})" }];
  const made = await api.put("/v1/workflows/sheet", { inputSpec: { version: 2, paramsSchema }, steps });
  expect(made.status).toBe(201);
});
afterAll(() => api[Symbol.asyncDispose]());

const items = [{ params: { city: "Rome" } }, { params: { city: "Oslo", top: 2 } }];
const count = async () => (await api.db.sql.all(`SELECT 1 FROM "Batch"`)).length;

async function upload(content: string): Promise<string> {
  const sha256 = hash("sha256", content);
  const { status } = await api.request("PUT", `/v1/blobs/${sha256}`, { body: content });
  expect([200, 201]).toContain(status);
  return sha256;
}

describe("POST /v1/batches", () => {
  it("answers with the batch and where it is, and the same again for the same key", async () => {
    const headers = { "Idempotency-Key": "one" };
    const made = await api.post("/v1/batches", { workflow: "sheet", items, maxFailures: 1 }, { headers });
    expect([made.status, made.headers.get("location")]).toEqual([201, `/v1/batches/${made.json.id}`]);
    expect(made.json).toMatchObject({
      id: expect.stringMatching(/^bat_/),
      workflow: "sheet",
      version: 1,
      status: "RUNNING",
      itemCount: 2,
      concurrency: 10,
      maxFailures: 1,
      counts: { waiting: 2, queued: 0, running: 0, succeeded: 0, failed: 0, canceled: 0 },
      finishedAt: null,
    });
    const again = await api.post("/v1/batches", { workflow: "sheet", items, maxFailures: 1 }, { headers });
    expect([again.status, again.json.id, again.headers.get("idempotent-replayed")]).toEqual([
      201,
      made.json.id,
      "true",
    ]);
    const other = await api.post("/v1/batches", { workflow: "sheet", items }, { headers });
    expect([other.status, other.json.code]).toEqual([422, "IDEMPOTENCY_KEY_REUSED"]);
    expect((await api.get(`/v1/batches/${made.json.id}`)).json).toEqual(made.json);
  });

  it("makes nothing of a dry run, and names each wrong row with its cell", async () => {
    const before = await count();
    const good = await api.post("/v1/batches", { workflow: "sheet", items, dryRun: true });
    expect([good.status, good.json]).toEqual([200, { dryRun: "OK", itemCount: 2, columns: ["city", "top"] }]);
    const sha256 = await upload("city,top\nRome,1\n,2\nOslo,0\n");
    const bad = await api.post("/v1/batches", { workflow: "sheet", itemsFile: { sha256 }, dryRun: true });
    expect([bad.status, bad.json.code, bad.json.errors]).toEqual([
      422,
      "INVALID",
      [
        { pointer: "/items/1/params/city", message: "is required", row: 3 },
        { pointer: "/items/2/params/top", message: "must be at least 1, got 0", row: 4 },
      ],
    ]);
    expect(await count()).toBe(before);
  });

  it.each([
    [{ workflow: "nothing", items: [{}] }, 404, "NOT_FOUND"],
    [{ workflow: "sheet", items: [] }, 422, "INVALID"],
    [{ workflow: "sheet", itemsFile: "a".repeat(64) }, 422, "BLOB_UNKNOWN"],
    [{ workflow: "sheet", items: [{ params: { city: "x", files: [] } }] }, 422, "RESERVED_KEY"],
    [{ workflow: "sheet", version: 9, items }, 404, "NOT_FOUND"],
    [{ workflow: "sheet", items, concurrency: 10_001 }, 422, "INVALID"],
    [[], 422, "INVALID"],
  ])("refuses %j", async (request, status, code) => {
    const before = await count();
    const answer = await api.post("/v1/batches", request);
    expect([answer.status, answer.json.code]).toEqual([status, code]);
    expect(await count()).toBe(before);
  });
});

describe("a JSON Lines file of items", () => {
  it("is read as strictly as a request", async () => {
    const nested = `${"[".repeat(70)}${"]".repeat(70)}`;
    const lines = ['{"params":{"city":"a","city":"b"}}', `{"params":{"city":${nested}}}`, '{"params":{"__proto__":1}}'];
    const itemsFile = { sha256: await upload(lines.join("\n")), format: "jsonl" };
    const { status, json } = await api.post("/v1/batches", { workflow: "sheet", itemsFile, dryRun: true });
    expect([status, json.errors.map(({ row, pointer }: { row: number; pointer: string }) => [row, pointer])]).toEqual([
      422,
      [
        [1, "/items/0/params/city"],
        [2, "/items/1"],
        [3, "/items/2/params/__proto__"],
      ],
    ]);
  });
});

describe("a batch", () => {
  it("tells those who follow everything whenever it moves", async () => {
    const headers = { Authorization: `Bearer ${api.adminKey}` };
    await using stream = await follow(`${api.url}/v1/events?kinds=batch_status`, headers);
    const { id: batchId } = (await api.post("/v1/batches", { workflow: "sheet", items })).json;
    for (const move of ["pause", "pause", "resume", "cancel"]) await api.post(`/v1/batches/${batchId}/${move}`);
    const events = await stream.until((all) => all.length === 4);
    expect(events.map(({ event, data }) => [event, JSON.parse(data)])).toEqual(
      ["RUNNING", "PAUSED", "RUNNING", "CANCELED"].map((status) => [
        "batch_status",
        { batchId, status, at: api.now.toISOString() },
      ]),
    );
  });

  it("is found in lists, by its status and its workflow, page by page", async () => {
    await aWorkflow(api, "other");
    const ids: string[] = [];
    for (let n = 0; n < 3; n++) ids.push((await api.post("/v1/batches", { workflow: "other", items: [{}] })).json.id);
    await api.post(`/v1/batches/${ids[1]}/cancel`);
    const idsOf = async (query: string) => {
      const { json } = await api.get(`/v1/batches?workflow=other${query}`);
      return { ids: json.items.map(({ id }: { id: string }) => id), next: json.nextCursor };
    };
    expect((await idsOf("")).ids).toEqual(ids.toReversed());
    expect((await idsOf("&status=CANCELED")).ids).toEqual([ids[1]]);
    const first = await idsOf("&limit=2");
    expect(first.ids).toEqual([ids[2], ids[1]]);
    expect(await idsOf(`&limit=2&cursor=${first.next}`)).toEqual({ ids: [ids[0]], next: null });
    expect((await api.get("/v1/batches?cursor=x")).json.code).toBe("BAD_CURSOR");
  });

  it("that has no job yet ends at once when it is canceled, and its results say so", async () => {
    const { id } = (await api.post("/v1/batches", { workflow: "sheet", items })).json;
    const canceled = await api.post(`/v1/batches/${id}/cancel`);
    expect([canceled.status, canceled.json.status, canceled.json.counts.waiting]).toEqual([202, "CANCELED", 2]);
    for (const move of ["cancel", "pause", "resume"]) {
      const late = await api.post(`/v1/batches/${id}/${move}`);
      expect([move, late.status, late.json.code]).toEqual([move, 409, "STATE_CONFLICT"]);
    }
    const results = await api.get(`/v1/batches/${id}/results`);
    expect(results.headers.get("content-disposition")).toBe(`attachment; filename=${id}.csv`);
    expect(results.text.split("\r\n")).toEqual([
      "city,top,maia.row,maia.status,maia.jobId,maia.runId,maia.failureCode,maia.failureMessage,maia.startedAt,maia.finishedAt",
      "Rome,,1,NOT_STARTED,,,,,,",
      "Oslo,2,2,NOT_STARTED,,,,,,",
      "",
    ]);
    const head = await api.request("HEAD", `/v1/batches/${id}/results`);
    expect([head.status, head.text]).toEqual([200, ""]);
    const trail = await api.db.sql.all(
      `SELECT 1 FROM "AuditEvent" WHERE "action" = 'batch.cancel' AND "target" = ?`,
      id,
    );
    expect(trail).toHaveLength(1);
  });

  it("that is held tells its queued rows why they wait", async () => {
    const workflow = await aWorkflow(api, "held");
    const { id } = (await api.post("/v1/batches", { workflow: "held", items: [{}] })).json;
    const job = await aJob(api, workflow);
    await api.db.write(({ sql }) =>
      sql.run(`UPDATE "JobRun" SET "batchId" = ?, "itemIndex" = 0 WHERE "id" = ?`, id, job.id),
    );
    await api.post(`/v1/batches/${id}/pause`);
    expect((await api.get(`/v1/jobs/${job.id}/why`)).json.items).toMatchObject([{ code: "BATCH_PAUSED" }]);
    await api.post(`/v1/batches/${id}/cancel`);
    expect((await api.get(`/v1/jobs/${job.id}`)).json.status).toBe("CANCELED");
    expect((await api.get(`/v1/batches/${id}`)).json).toMatchObject({ status: "CANCELED", counts: { canceled: 1 } });
  });

  it("that is held lets none of its queued rows run out of time, and gives them their time anew", async () => {
    const steps = [{ key: "a", script: "export default () => ({})" }];
    await api.put("/v1/workflows/timed", { queueTimeoutMs: 60_000, steps });
    const { id, workflowId } = (await api.post("/v1/batches", { workflow: "timed", items: [{}] })).json;
    const version = await api.db.sql.get<{ id: string }>(
      `SELECT "id" FROM "WorkflowVersion" WHERE "workflowId" = ?`,
      workflowId,
    );
    const { projectId } = await aWorkflow(api, "any");
    const job = await aJob(api, { id: workflowId, projectId, slug: "timed", versionId: version!.id });
    const text = `UPDATE "JobRun" SET "batchId" = ?, "itemIndex" = 0, "queueDeadline" = ? WHERE "id" = ?`;
    await api.db.write(({ sql }) => sql.run(text, id, toDbTime(api.now), job.id));
    const deadline = async () =>
      (
        await api.db.sql.get<{ at: string | null }>(
          `SELECT "queueDeadline" AS "at" FROM "JobRun" WHERE "id" = ?`,
          job.id,
        )
      )?.at;
    await api.post(`/v1/batches/${id}/pause`);
    expect(await deadline()).toBeNull();
    await api.post(`/v1/batches/${id}/resume`);
    expect(await deadline()).toBe(toDbTime(new Date(api.now.getTime() + 60_000)));
  });

  it("may be slowed down and sped up while it goes on", async () => {
    const { id } = (await api.post("/v1/batches", { workflow: "sheet", items, maxFailures: 2 })).json;
    const headers = { "Content-Type": "application/json" };
    const patch = (change: object, more = {}) =>
      api.request("PATCH", `/v1/batches/${id}`, { headers: { ...headers, ...more }, body: JSON.stringify(change) });
    const tag = (await api.get(`/v1/batches/${id}`)).headers.get("etag")!;
    const slower = await patch({ concurrency: 1 }, { "If-Match": tag });
    expect([slower.status, slower.json.concurrency, slower.json.maxFailures]).toEqual([200, 1, 2]);
    expect((await patch({ concurrency: 5 }, { "If-Match": tag })).json.code).toBe("PRECONDITION");
    expect((await patch({ maxFailures: null })).json).toMatchObject({ concurrency: 1, maxFailures: null });
    expect((await patch({ concurrency: 0 })).status).toBe(422);
    expect((await patch({ status: "SUCCEEDED" })).status).toBe(422);
    await api.post(`/v1/batches/${id}/cancel`);
    expect((await patch({ concurrency: 5 })).json.code).toBe("STATE_CONFLICT");
  });

  it("is an operator's to make and a viewer's to see", async () => {
    const viewer = await api.keyOf("viewer");
    expect((await api.post("/v1/batches", { workflow: "sheet", items }, { key: viewer })).status).toBe(403);
    const operator = await api.keyOf("operator");
    const { id } = (await api.post("/v1/batches", { workflow: "sheet", items }, { key: operator })).json;
    expect((await api.get(`/v1/batches/${id}/results`, { key: viewer })).status).toBe(200);
    expect((await api.post(`/v1/batches/${id}/pause`, undefined, { key: viewer })).status).toBe(403);
  });
});
