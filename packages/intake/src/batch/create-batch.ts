import { holdBlobs, insertBatch, isBlobKnown, keepBlob, type Tx } from "@maia/db";
import { canonicalJson, invalid, type JsonObject, newId, sha256Hex } from "@maia/domain";
import type { BatchContext, Caller } from "../context.js";
import { type IdempotentRequest, madeBefore, takeKey } from "../idempotency.js";
import { type Named, type Resolved, resolveRequest } from "../resolve.js";
import { readCsv } from "./csv.js";
import { readJsonLines } from "./json-lines.js";
import type { BatchRequest, ItemsFile } from "./request.js";
import { decodeText, inlineSource, type Source, type SourceRow } from "./source.js";
import { type TakenItems, takeItems, tryItems } from "./take-items.js";

export interface CreatedBatch {
  readonly batchId: string;
  /** True when the same request made it before. */
  readonly replayed: boolean;
}

/** What a batch is made of, however its items come. */
export interface BatchOrder extends Named, Pick<BatchRequest, "concurrency" | "maxFailures" | "priority" | "labels"> {
  readonly originBatchId: string | null;
}

/**
 * Takes a batch in: checks every item before anything starts, keeps the items as one blob, and stores the batch, its
 * event and the idempotency key in one write. The engine opens its jobs.
 * @throws {MaiaError} NOT_FOUND, NO_VERSION, INVALID, RESERVED_KEY, BLOB_UNKNOWN, IDEMPOTENCY_KEY_REUSED
 */
export function createBatch(
  context: BatchContext,
  { items, itemsFile, dryRun: _, ...order }: BatchRequest,
  caller: Caller,
  key: string | null,
  now: Date,
): Promise<CreatedBatch> {
  const asked = () => canonicalJson({ ...order, items, itemsFile } as unknown as JsonObject);
  const source = (target: Resolved) => openSource(context, { items, itemsFile }, target, caller);
  return acceptBatch(context, { ...order, originBatchId: null }, source, caller, { key, asked }, now);
}

/** Checks the request for a batch, and makes none. @throws {MaiaError} as createBatch does, listing more of what is wrong. */
export async function tryBatch(
  context: BatchContext,
  request: BatchRequest,
  caller: Caller,
): Promise<Pick<TakenItems, "itemCount" | "columns"> & { readonly versionId: string }> {
  const target = await resolveRequest(context.db.sql, request, caller);
  const source = await openSource(context, request, target, caller);
  return { ...(await tryItems(context, source, target, caller)), versionId: target.versionId };
}

/** Takes a batch in, wherever its items come from. */
export async function acceptBatch(
  context: BatchContext,
  order: BatchOrder,
  open: (target: Resolved) => Promise<Source>,
  caller: Caller,
  { key, asked }: { readonly key: string | null; readonly asked: () => string },
  now: Date,
): Promise<CreatedBatch> {
  const { db, idempotencyTtlMs: ttlMs } = context;
  const { principal } = caller;
  const once: IdempotentRequest | null =
    key === null ? null : { principal, key, requestHash: sha256Hex(asked()), ttlMs, place: "/v1/batches/" };
  const before = once && (await madeBefore(db.sql, once, now));
  if (before) return { batchId: before, replayed: true };
  const target = await resolveRequest(db.sql, order, caller);
  const items = await takeItems(context, await open(target), target, caller);
  return db.write(async (tx) => {
    const batchId = newId("batch", now);
    const twin = once && !(await takeKey(tx, once, batchId, now)) ? await madeBefore(tx.sql, once, now) : null;
    if (twin) return { batchId: twin, replayed: true };
    await storeBatch(tx, batchId, order, target, items, principal, now);
    await caller.onMade?.(tx, batchId);
    return { batchId, replayed: false };
  });
}

async function storeBatch(
  tx: Tx,
  id: string,
  { priority, labels, concurrency, maxFailures, originBatchId }: BatchOrder,
  { projectId, workflowId, versionId: workflowVersionId, environmentId, runnerId }: Resolved,
  { sha256, sizeBytes, itemCount, columns, files }: TakenItems,
  requestedBy: string,
  now: Date,
): Promise<void> {
  const target = { projectId, workflowId, workflowVersionId, environmentId, runnerId };
  const what = { itemsSha256: sha256, itemCount, columns: columns && JSON.stringify(columns) };
  const how = { priority, labels: JSON.stringify(labels), concurrency, maxFailures, originBatchId, requestedBy };
  await keepBlob(tx, { sha256, sizeBytes, mime: "application/x-ndjson" }, projectId, now);
  await insertBatch(tx, { id, ...target, ...what, ...how }, now);
  const missing = await holdBlobs(tx, id, [sha256, ...files]);
  if (missing === null) return;
  const message = `file ${missing} is not known here any more; upload it with PUT /v1/blobs again`;
  throw invalid([{ pointer: "/items", message }], "BLOB_UNKNOWN");
}

async function openSource(
  { db, blobs, parseJson }: BatchContext,
  { items, itemsFile }: Pick<BatchRequest, "items" | "itemsFile">,
  { inputSpec }: Resolved,
  { projects }: Caller,
): Promise<Source> {
  if (!itemsFile) return inlineSource(items ?? []);
  const isKnown = (await isBlobKnown(db.sql, projects, itemsFile.sha256)) && (await blobs.touch(itemsFile.sha256));
  if (!isKnown) {
    const message = "is not known here; upload it with PUT /v1/blobs first";
    throw invalid([{ pointer: "/itemsFile/sha256", message }], "BLOB_UNKNOWN");
  }
  return readFile(blobs.read(itemsFile.sha256), itemsFile, inputSpec?.paramsSchema ?? null, parseJson);
}

/** Where nothing says what the file is, its first character does: JSON Lines begin with an object. */
async function* readFile(
  bytes: AsyncIterable<Uint8Array>,
  { format }: ItemsFile,
  schema: JsonObject | null,
  parseJson: BatchContext["parseJson"],
): AsyncGenerator<SourceRow> {
  const text = decodeText(bytes)[Symbol.asyncIterator]();
  const first = await text.next();
  const all = (async function* () {
    if (!first.done) yield first.value;
    yield* { [Symbol.asyncIterator]: () => text };
  })();
  const isJson = format === "jsonl" || (format === null && !first.done && /^\s*\{/.test(first.value));
  yield* isJson ? readJsonLines(all, parseJson) : readCsv(all, schema);
}
