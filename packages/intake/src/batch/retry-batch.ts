import { type BatchView, countBatch, itemStatuses } from "@maia/db";
import { canonicalJson, type JobRunStatus, type Json, MaiaError } from "@maia/domain";
import type { BatchContext, Caller } from "../context.js";
import { acceptBatch, type CreatedBatch } from "./create-batch.js";
import { readItems } from "./items-file.js";
import type { SourceRow } from "./source.js";

/** Which rows of an ended batch are tried again: those that failed, or all that did not succeed. */
export type RetriedRows = "failed" | "unsuccessful";

export interface RetryRequest {
  readonly rows: RetriedRows;
  /** Null: the version that the batch had. */
  readonly version: number | null;
}

/** How many items' statuses are read at a time. */
const PAGE = 1_000;

/**
 * Makes a batch of the rows that did not succeed in another one. The other one stays as it ended.
 * @throws {MaiaError} STATE_CONFLICT while it goes on, or where there is no such row.
 */
export async function retryBatch(
  context: BatchContext,
  batch: BatchView,
  { rows, version }: RetryRequest,
  caller: Caller,
  key: string | null,
  now: Date,
): Promise<CreatedBatch> {
  if (batch.status === "RUNNING" || batch.status === "PAUSED") {
    throw new MaiaError("STATE_CONFLICT", "The batch goes on; its rows can be tried again once it has ended");
  }
  const { failed, canceled } = await countBatch(context.db.sql, batch.id);
  const others = rows === "failed" ? 0 : canceled + batch.itemCount - batch.opened;
  if (failed + others === 0) throw new MaiaError("STATE_CONFLICT", whyNone(batch, rows));
  const order = {
    workflow: batch.workflowId,
    project: batch.projectId,
    version: version ?? batch.version,
    environment: batch.environmentId,
    runner: batch.runnerId,
    concurrency: batch.concurrency,
    maxFailures: batch.maxFailures,
    priority: batch.priority,
    labels: JSON.parse(batch.labels),
    originBatchId: batch.id,
  };
  const asked = () => canonicalJson({ retry: batch.id, rows, version: version as Json });
  return acceptBatch(context, order, async () => chosenRows(context, batch, rows), caller, { key, asked }, now);
}

function whyNone({ counts, itemCount }: BatchView, rows: RetriedRows): string {
  if (rows === "failed" && counts.failed === 0) return "No row has failed";
  if (rows === "unsuccessful" && counts.succeeded === itemCount) return "Every row has succeeded";
  return "The jobs of these rows are kept no longer";
}

async function* chosenRows(
  { db, blobs }: BatchContext,
  { id, itemsSha256, opened }: BatchView,
  rows: RetriedRows,
): AsyncGenerator<SourceRow> {
  const isChosen = (status: JobRunStatus | undefined, index: number) =>
    status === "FAILED" || (rows === "unsuccessful" && (status === "CANCELED" || index >= opened));
  let index = 0;
  let statuses = new Map<number, JobRunStatus>();
  for await (const { row, params, files, urlFiles } of readItems(blobs, itemsSha256)) {
    if (index % PAGE === 0) statuses = await itemStatuses(db.sql, id, index, PAGE);
    if (isChosen(statuses.get(index), index)) {
      const named = files.map(({ name, sha256 }) => ({ name, sha256 }));
      yield { row, value: { params: JSON.parse(params), files: named, urlFiles } };
    }
    index += 1;
  }
}
