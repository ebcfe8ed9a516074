import type { BatchCounts, BatchFacts } from "@maia/domain";
import { BATCH_COLUMNS, type BatchRow } from "./batches.js";
import type { Sql } from "./types.js";

/** A batch with how many of its jobs are under way. */
export interface BatchUnderWay extends BatchRow {
  readonly queued: number;
  readonly running: number;
}

/** It costs no more than the jobs that are under way, however long the batch is. */
const UNDER_WAY = `SELECT ${BATCH_COLUMNS},
  (SELECT count(*) FROM "JobRun" q WHERE q."batchId" = b."id" AND q."status" = 'QUEUED') AS "queued",
  (SELECT count(*) FROM "JobRun" r WHERE r."batchId" = b."id" AND r."status" = 'RUNNING') AS "running" FROM "Batch" b`;

/** The batches that go on or are held. */
export function batchesUnderWay(sql: Sql): Promise<BatchUnderWay[]> {
  return sql.all(`${UNDER_WAY} WHERE b."status" IN ('RUNNING', 'PAUSED')`);
}

/** One of these, by its id, whatever its status. */
export function findBatchUnderWay(sql: Sql, id: string): Promise<BatchUnderWay | undefined> {
  return sql.get(`${UNDER_WAY} WHERE b."id" = ?`, id);
}

/** What `planBatch` decides from. */
export async function readBatchFacts(sql: Sql, batch: BatchUnderWay): Promise<BatchFacts> {
  const { status, itemCount, cursor: opened, concurrency, maxFailures, queued, running } = batch;
  return {
    status,
    itemCount,
    opened,
    concurrency,
    maxFailures,
    isCancelRequested: batch.cancelRequestedAt !== null,
    failure: batch.failure === null ? null : JSON.parse(batch.failure),
    queued,
    running,
    failed: maxFailures === null ? 0 : await countFailed(sql, batch.id, maxFailures),
  };
}

async function countFailed(sql: Sql, batchId: string, atMost: number): Promise<number> {
  const some = `SELECT 1 AS "one" FROM "JobRun" WHERE "batchId" = ? AND "status" = 'FAILED' LIMIT ?`;
  const text = `SELECT count(*) AS "count" FROM (${some}) AS "some"`;
  return (await sql.get<{ count: number }>(text, batchId, atMost))?.count ?? 0;
}

/** How all jobs of a batch stand. It looks at an index entry of each. */
export async function countBatch(sql: Sql, batchId: string): Promise<BatchCounts> {
  const rows = await sql.all<{ status: string; count: number }>(
    `SELECT "status", count(*) AS "count" FROM "JobRun" WHERE "batchId" = ? GROUP BY "status"`,
    batchId,
  );
  const counts = { queued: 0, running: 0, succeeded: 0, failed: 0, canceled: 0 };
  for (const { status, count } of rows) counts[status.toLowerCase() as keyof BatchCounts] = count;
  return counts;
}
