import { type BatchFacts, endOfBatch, planBatch } from "@maia/domain";
import { countBatch, findBatchUnderWay, readBatchFacts } from "./batch-facts.js";
import { type BatchRow, findBatch, giveUpBatch, moveBatch } from "./batches.js";
import { requestCancel } from "./cancel.js";
import { toDbTime } from "./time.js";
import type { Tx } from "./types.js";

/** Most jobs of a batch that one write asks to end. */
const STOP_CHUNK = 100;

/** Does for a batch whatever needs no items: gives it up, stops its jobs, ends it. */
export async function settleBatch(tx: Tx, batchId: string, now: Date): Promise<void> {
  for (;;) {
    const batch = await findBatchUnderWay(tx.sql, batchId);
    const facts = batch && (await readBatchFacts(tx.sql, batch));
    const action = facts ? planBatch(facts) : null;
    if (!batch || !facts || !action || action.do === "open") return;
    if (action.do === "giveUp") await giveUpBatch(tx, batch.id, action.failure);
    else if (action.do === "stopJobs") {
      const count = await stopJobs(tx, batch, now);
      if (count === STOP_CHUNK) tx.ring("engine"); // the rest in a write of its own
      if (count === 0 || count === STOP_CHUNK) return;
    } else {
      await endBatch(tx, batch, facts, now);
      return;
    }
  }
}

/** Those that wait in the queue come first: they are not to start meanwhile. */
async function stopJobs(tx: Tx, batch: BatchRow, now: Date): Promise<number> {
  const jobs = await tx.sql.all<{ id: string }>(
    `SELECT "id" FROM "JobRun" WHERE "batchId" = ? AND "status" IN ('QUEUED', 'RUNNING') AND "cancelRequestedAt" IS NULL
     ORDER BY "status" LIMIT ?`,
    batch.id,
    STOP_CHUNK,
  );
  const reason = batch.cancelRequestedAt === null ? "Its batch was given up" : "Its batch was canceled";
  for (const { id } of jobs) await requestCancel(tx, id, now, reason);
  return jobs.length;
}

/** Its jobs are not kept for ever, so how they ended is noted. */
async function endBatch(tx: Tx, batch: BatchRow, facts: BatchFacts, now: Date): Promise<void> {
  const counts = await countBatch(tx.sql, batch.id);
  const { move, failure } = endOfBatch(facts, counts);
  await tx.sql.run(`UPDATE "Batch" SET "counts" = ? WHERE "id" = ?`, JSON.stringify(counts), batch.id);
  await moveBatch(tx, batch, move, now, failure);
}

/**
 * Asks a batch to end: what waits ends at once, what runs is stopped, nothing more is opened. Asking again changes
 * nothing. False: it has ended already.
 */
export async function cancelBatch(tx: Tx, batchId: string, now: Date): Promise<boolean> {
  const batch = await findBatch(tx.sql, batchId);
  if (!batch || (batch.status !== "RUNNING" && batch.status !== "PAUSED")) return false;
  await tx.sql.run(
    `UPDATE "Batch" SET "cancelRequestedAt" = ? WHERE "id" = ? AND "cancelRequestedAt" IS NULL`,
    toDbTime(now),
    batchId,
  );
  await settleBatch(tx, batchId, now);
  tx.ring("engine");
  return true;
}
