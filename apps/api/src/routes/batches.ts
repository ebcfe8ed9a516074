import { type BatchView, findBatchView, listBatches, type Tx } from "@maia/db";
import { MaiaError, storedSnapshot } from "@maia/domain";
import { createBatch, parseBatchRequest, retryBatch, tryBatch } from "@maia/intake";
import { audited } from "../audited.js";
import { batchEtag, cancelBatch, changeBatch, pauseBatch, resumeBatch } from "../batch-moves.js";
import { batchResults } from "../batch-results.js";
import { hasBody, readJson } from "../http/body.js";
import { drained } from "../http/drained.js";
import { type Call, created, ok, type Reply, type Route, route } from "../http/route.js";
import { choice, optional, readBody, text } from "../http/shapes.js";
import { idempotencyKeyOf, replayHeader } from "../idempotency.js";
import { batchContext } from "../job-intake.js";
import { found, narrowedTo, ofWorkflow } from "../lookup.js";
import { batch, batchStatuses, presentBatch } from "../present/batch.js";
import { batchChange, batchRequest, dryRunAnswer, retryRequest } from "../present/batch-requests.js";
import { inProject, pageOf, pageRequest, paging } from "../present/common.js";

const idempotencyHeader = { "Idempotency-Key": "Makes asking again safe" };
const where = { Location: "Where the batch is" };

/** A command to a batch. */
function moveRoute(name: "cancel" | "pause" | "resume", summary: string, move: Parameters<typeof moved>[1]): Route {
  return route({
    method: "post",
    path: `/v1/batches/{id}/${name}`,
    operationId: `${name}Batch`,
    summary,
    tag: "Batches",
    permission: "batches.write",
    answers: { 202: { description: "The batch as it is now", shape: batch } },
    handler: (call) => moved(call, move),
  });
}

export const batchRoutes: readonly Route[] = [
  route({
    method: "post",
    path: "/v1/batches",
    operationId: "createBatch",
    summary: "Asks for a run of a workflow per row. Every row is checked before any starts",
    tag: "Batches",
    permission: "batches.write",
    requestHeaders: idempotencyHeader,
    body: {
      shape: batchRequest,
      example: { workflow: "csv-report", items: [{ params: { top: 3 } }, { params: { top: 5 } }], concurrency: 2 },
    },
    answers: {
      200: { description: "A dry run: every row may run", shape: dryRunAnswer },
      201: { description: "The batch", shape: batch, headers: where },
    },
    handler: async (call) => {
      const { context, caller, now } = call;
      const request = parseBatchRequest(call.body, context.config.constants.batchItemsMax);
      const who = { principal: caller.id, projects: caller.projects };
      if (request.dryRun) {
        const { itemCount, columns } = await tryBatch(batchContext(context), request, who);
        return ok({ dryRun: "OK", itemCount, columns });
      }
      const key = idempotencyKeyOf(call.req);
      const { batchId, replayed } = await createBatch(batchContext(context), request, who, key, now);
      return created(`/v1/batches/${batchId}`, presentBatch(await viewOf(call, batchId)), replayHeader(replayed));
    },
  }),
  route({
    method: "get",
    path: "/v1/batches",
    operationId: "listBatches",
    summary: "Batches, newest first",
    tag: "Batches",
    permission: "batches.read",
    query: {
      ...paging,
      ...inProject,
      status: optional(choice(batchStatuses)),
      workflow: optional(text({ description: "By id or by name; it may be deleted" })),
    },
    answers: { 200: { description: "A page of batches", shape: pageOf(batch) } },
    handler: async (call) => {
      const { context, caller, query } = call;
      const projectId = await narrowedTo(call, query.project);
      const workflowId = await ofWorkflow(call);
      const filter = { projectId, workflowId, status: query.status };
      const page = await listBatches(context.db, caller.projects, filter, pageRequest(query));
      return ok({ ...page, items: page.items.map(presentBatch) });
    },
  }),
  route({
    method: "get",
    path: "/v1/batches/{id}",
    operationId: "getBatch",
    summary: "A batch, and how its rows stand",
    tag: "Batches",
    permission: "batches.read",
    answers: { 200: { description: "The batch", shape: batch, headers: { ETag: "For If-Match" } } },
    handler: (call) => answer(call, call.params.id),
  }),
  route({
    method: "patch",
    path: "/v1/batches/{id}",
    operationId: "updateBatch",
    summary: "Changes how many rows of a batch may run at once, or may fail, while it goes on",
    tag: "Batches",
    permission: "batches.write",
    requestHeaders: { "If-Match": "Changes nothing if one of the two has changed since" },
    body: { shape: batchChange, example: { concurrency: 4 } },
    answers: { 200: { description: "The batch", shape: batch, headers: { ETag: "For If-Match" } } },
    handler: async (call) => {
      const { id } = await viewOf(call, call.params.id);
      await changeBatch(call, id, call.body);
      return answer(call, id);
    },
  }),
  route({
    method: "get",
    path: "/v1/batches/{id}/results",
    operationId: "getBatchResults",
    summary: "The rows in the order of the input, with how each went and its outputs, as CSV",
    tag: "Batches",
    permission: "batches.read",
    query: {
      formulas: optional(
        choice(["escape", "keep"], {
          description: "Cells that a spreadsheet would carry out as a formula get a `'` before them unless kept",
        }),
      ),
    },
    answers: {
      200: { description: "As it stands now", content: { "text/csv": { type: "string" } } },
    },
    handler: async (call) => streamResults(call, call.query.formulas === "keep"),
  }),
  moveRoute("cancel", "Opens no further row, and stops those that are open. Asking again changes nothing", cancelBatch),
  moveRoute("pause", "Starts no further row until it is resumed; those that run go on", pauseBatch),
  moveRoute("resume", "Goes on with a batch that is held", resumeBatch),
  route({
    method: "post",
    path: "/v1/batches/{id}/retry",
    operationId: "retryBatch",
    summary: "Makes a batch of the rows of an ended one that failed, or of all that did not succeed",
    tag: "Batches",
    permission: "batches.write",
    requestHeaders: idempotencyHeader,
    streamed: { content: { "application/json": { schema: retryRequest.schema, example: { rows: "failed" } } } },
    answers: { 201: { description: "The new batch", shape: batch, headers: where } },
    handler: async (call) => {
      const { context, caller, req, now } = call;
      const asked = readBody(retryRequest, hasBody(req) ? await readJson(req, context.config.body) : {});
      const origin = await viewOf(call, call.params.id);
      const who = {
        principal: caller.id,
        projects: caller.projects,
        onMade: (tx: Tx, batchId: string) => audited(tx, call, "batch.retry", origin.id, { batchId }),
      };
      const request = { rows: asked.rows ?? "failed", version: asked.version ?? null } as const;
      const key = idempotencyKeyOf(req);
      const { batchId, replayed } = await retryBatch(batchContext(context), origin, request, who, key, now);
      return created(`/v1/batches/${batchId}`, presentBatch(await viewOf(call, batchId)), replayHeader(replayed));
    },
  }),
];

async function viewOf({ context, caller }: Call, id: string): Promise<BatchView> {
  return found(await findBatchView(context.db.sql, caller.projects, id), "batch");
}

async function answer(call: Call, id: string): Promise<Reply> {
  const view = await viewOf(call, id);
  return ok(presentBatch(view), { ETag: batchEtag(view) });
}

async function moved(
  call: Call<{ readonly id: string }>,
  move: (call: Call, id: string) => Promise<void>,
): Promise<Reply> {
  const { id } = await viewOf(call, call.params.id);
  await move(call, id);
  return { status: 202, body: presentBatch(await viewOf(call, id)) };
}

async function streamResults(call: Call<{ readonly id: string }>, keepFormulas: boolean): Promise<undefined> {
  const { context, req, res } = call;
  const view = await viewOf(call, call.params.id);
  const version = await context.db.sql.get<{ workflowSnap: string }>(
    `SELECT "workflowSnap" FROM "WorkflowVersion" WHERE "workflowId" = ? AND "version" = ?`,
    view.workflowId,
    view.version,
  );
  if (!(await context.blobs.has(view.itemsSha256))) {
    throw new MaiaError("ARTIFACT_CORRUPT", "The items of the batch are no longer there");
  }
  const { outputsSpec } = storedSnapshot(version?.workflowSnap ?? "");
  const options = { outputs: Object.keys(outputsSpec?.outputs ?? {}), keepFormulas };
  res.attachment(`${view.id}.csv`);
  res.writeHead(200, { "Content-Type": "text/csv; charset=utf-8" });
  if (req.method !== "HEAD") {
    for await (const text of batchResults(context.db, context.blobs, view, options)) {
      if (res.destroyed) return;
      if (!res.write(text)) await drained(res);
    }
  }
  res.end();
}
