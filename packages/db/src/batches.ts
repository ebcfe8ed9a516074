import { type BatchFailure, type BatchMove, type BatchStatus, batchMoves } from "@maia/domain";
import { toDbTime } from "./time.js";
import type { Sql, Tx } from "./types.js";

/** A batch as whoever carries it on knows it. JSON and times stay text. */
export interface BatchRow {
  readonly id: string;
  readonly projectId: string;
  readonly workflowId: string;
  readonly workflowVersionId: string;
  readonly environmentId: string;
  readonly runnerId: string | null;
  readonly status: BatchStatus;
  readonly priority: number;
  readonly labels: string;
  readonly itemsSha256: string;
  readonly itemCount: number;
  readonly cursor: number;
  readonly cursorBytes: number;
  readonly concurrency: number;
  readonly maxFailures: number | null;
  readonly failure: string | null;
  readonly requestedBy: string | null;
  readonly cancelRequestedAt: string | null;
}

/** What a `BatchRow` is read from. */
export const BATCH_COLUMNS = `"id", "projectId", "workflowId", "workflowVersionId", "environmentId", "runnerId", "status", "priority", "labels",
  "itemsSha256", "itemCount", "cursor", "cursorBytes", "concurrency", "maxFailures", "failure", "requestedBy", "cancelRequestedAt"`;

export interface NewBatch
  extends Omit<BatchRow, "status" | "cursor" | "cursorBytes" | "failure" | "cancelRequestedAt" | "requestedBy"> {
  readonly requestedBy: string;
  readonly originBatchId: string | null;
  readonly columns: string | null;
}

/** Stores a batch with its first event, and wakes the engine. Its items are in the blob store already. */
export async function insertBatch(tx: Tx, batch: NewBatch, now: Date): Promise<void> {
  await tx.sql.run(
    `INSERT INTO "Batch" ("id", "projectId", "workflowId", "workflowVersionId", "environmentId", "runnerId", "originBatchId", "status",
       "priority", "labels", "itemsSha256", "itemCount", "columns", "concurrency", "maxFailures", "requestedBy", "createdAt")
     VALUES (?, ?, ?, ?, ?, ?, ?, 'RUNNING', ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    batch.id,
    batch.projectId,
    batch.workflowId,
    batch.workflowVersionId,
    batch.environmentId,
    batch.runnerId,
    batch.originBatchId,
    batch.priority,
    batch.labels,
    batch.itemsSha256,
    batch.itemCount,
    batch.columns,
    batch.concurrency,
    batch.maxFailures,
    batch.requestedBy,
    toDbTime(now),
  );
  await tellBatch(tx, batch, "RUNNING", null, now);
  tx.ring("engine");
}

/**
 * Keeps content from being collected for as long as the batch is there.
 * @returns the hash of content that is not there any more, or null.
 */
export async function holdBlobs({ sql }: Tx, batchId: string, hashes: Iterable<string>): Promise<string | null> {
  const text = `INSERT INTO "BatchBlob" ("batchId", "sha256") SELECT ?, "sha256" FROM "InputBlob" WHERE "sha256" = ?`;
  for (const sha256 of hashes) if ((await sql.run(text, batchId, sha256)) === 0) return sha256;
  return null;
}

export function findBatch(sql: Sql, id: string): Promise<BatchRow | undefined> {
  return sql.get<BatchRow>(`SELECT ${BATCH_COLUMNS} FROM "Batch" WHERE "id" = ?`, id);
}

/** Notes that items were opened. False: somebody else was faster, or the batch is held, so open none of them. */
export async function moveCursor({ sql }: Tx, batch: BatchRow, count: number, bytes: number): Promise<boolean> {
  const changed = await sql.run(
    `UPDATE "Batch" SET "cursor" = ?, "cursorBytes" = ?
     WHERE "id" = ? AND "cursor" = ? AND "status" = 'RUNNING' AND "cancelRequestedAt" IS NULL AND "failure" IS NULL`,
    batch.cursor + count,
    batch.cursorBytes + bytes,
    batch.id,
    batch.cursor,
  );
  return changed === 1;
}

/** Opens nothing more of a batch and stops what is open, for a reason that is its failure in the end. */
export async function giveUpBatch({ sql }: Tx, batchId: string, failure: BatchFailure): Promise<void> {
  await sql.run(
    `UPDATE "Batch" SET "failure" = ? WHERE "id" = ? AND "failure" IS NULL AND "status" IN ('RUNNING', 'PAUSED')`,
    JSON.stringify(failure),
    batchId,
  );
}

/** Gives the rows of a batch that wait in the queue until a moment; null: for ever, as while the batch is held. */
export async function setQueueDeadlines({ sql }: Tx, batchId: string, until: Date | null): Promise<void> {
  const text = `UPDATE "JobRun" SET "queueDeadline" = ? WHERE "batchId" = ? AND "status" = 'QUEUED'`;
  await sql.run(text, until && toDbTime(until), batchId);
}

/** Moves a batch and tells about it, or does neither. False: it was no longer where the move starts. */
export async function moveBatch(
  tx: Tx,
  batch: { readonly id: string; readonly projectId: string },
  name: BatchMove,
  now: Date,
  failure: BatchFailure | null = null,
): Promise<boolean> {
  const { from, to } = batchMoves[name];
  const isOver = to !== "RUNNING" && to !== "PAUSED";
  const changed = await tx.sql.run(
    `UPDATE "Batch" SET "status" = ?, "failure" = COALESCE(?, "failure"), "finishedAt" = ? WHERE "id" = ? AND "status" IN (${from.map(() => "?").join(", ")})`,
    to,
    failure && JSON.stringify(failure),
    isOver ? toDbTime(now) : null,
    batch.id,
    ...from,
  );
  if (changed === 0) return false;
  await tellBatch(tx, batch, to, failure, now);
  if (to === "RUNNING") tx.ring("engine");
  return true;
}

async function tellBatch(
  tx: Tx,
  { id: batchId, projectId }: { readonly id: string; readonly projectId: string },
  status: BatchStatus,
  failure: BatchFailure | null,
  now: Date,
): Promise<void> {
  const data = { batchId, status, at: now.toISOString(), ...(failure ? { failure } : {}) };
  await tx.event("batch_status", { projectId }, data);
}

/** What may be changed of a batch while it goes on. */
export interface BatchChange {
  readonly concurrency: number;
  readonly maxFailures: number | null;
}

/**
 * Changes how a batch goes on. False: it has ended.
 * @param change gives what is to be from what is.
 */
export async function changeBatch(
  tx: Tx,
  batchId: string,
  change: (now: BatchChange) => BatchChange,
): Promise<boolean> {
  const batch = await findBatch(tx.sql, batchId);
  if (!batch || (batch.status !== "RUNNING" && batch.status !== "PAUSED")) return false;
  const { concurrency, maxFailures } = change(batch);
  const text = `UPDATE "Batch" SET "concurrency" = ?, "maxFailures" = ? WHERE "id" = ?`;
  await tx.sql.run(text, concurrency, maxFailures, batchId);
  tx.ring("engine");
  return true;
}
