import type { Move } from "./machine.js";

export type BatchStatus = "RUNNING" | "PAUSED" | "SUCCEEDED" | "FAILED" | "CANCELED";

export const batchMoves = {
  pause: { from: ["RUNNING"], to: "PAUSED" },
  resume: { from: ["PAUSED"], to: "RUNNING" },
  succeed: { from: ["RUNNING", "PAUSED"], to: "SUCCEEDED" },
  fail: { from: ["RUNNING", "PAUSED"], to: "FAILED" },
  cancel: { from: ["RUNNING", "PAUSED"], to: "CANCELED" },
} as const satisfies Record<string, Move<BatchStatus>>;

export type BatchMove = keyof typeof batchMoves;

/** Most rows of one batch that wait in the queue, however many may run at once: whoever comes next waits behind these. */
export const QUEUED_AHEAD = 64;

/** Why a batch failed: too many of its rows did, some did, or Maia could not go on with it. */
export interface BatchFailure {
  readonly code: "MAX_FAILURES" | "ROWS_FAILED" | "INTERNAL";
  readonly message: string;
}

/** What is known of a batch while it goes on. */
export interface BatchFacts {
  readonly status: BatchStatus;
  readonly itemCount: number;
  /** How many of its rows have become jobs. */
  readonly opened: number;
  readonly concurrency: number;
  /** After so many failed rows no further ones run; null: however many fail. */
  readonly maxFailures: number | null;
  readonly isCancelRequested: boolean;
  /** Why it was given up, if it was. */
  readonly failure: BatchFailure | null;
  readonly queued: number;
  readonly running: number;
  /** Failed jobs; counted no further than `maxFailures`. */
  readonly failed: number;
}

/** How the jobs of a batch have ended, or stand. */
export interface BatchCounts {
  readonly queued: number;
  readonly running: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly canceled: number;
}

export type BatchAction =
  | { readonly do: "open"; readonly count: number }
  | { readonly do: "giveUp"; readonly failure: BatchFailure }
  | { readonly do: "stopJobs" }
  | { readonly do: "end" };

/** The next thing to do for a batch, or null. The same facts always give the same answer. */
export function planBatch(batch: BatchFacts): BatchAction | null {
  if (batch.status !== "RUNNING" && batch.status !== "PAUSED") return null;
  const live = batch.queued + batch.running;
  const rest = batch.itemCount - batch.opened;
  const isStopping = batch.isCancelRequested || batch.failure !== null;
  if (!isStopping && live + rest > 0 && batch.maxFailures !== null && batch.failed >= batch.maxFailures) {
    return { do: "giveUp", failure: tooManyFailed(batch.failed) };
  }
  if (live === 0 && (isStopping || rest === 0)) return { do: "end" };
  if (isStopping) return { do: "stopJobs" };
  const count = Math.min(rest, batch.concurrency - live, QUEUED_AHEAD - batch.queued);
  return batch.status === "RUNNING" && count > 0 ? { do: "open", count } : null;
}

/** How a batch ends whose jobs have all ended: a failed row outweighs a canceled one, and both a success. */
export function endOfBatch(
  batch: Pick<BatchFacts, "itemCount" | "opened" | "isCancelRequested" | "failure">,
  { succeeded, failed, canceled }: BatchCounts,
): { readonly move: BatchMove; readonly failure: BatchFailure | null } {
  if (batch.failure) return { move: "fail", failure: batch.failure };
  if (batch.isCancelRequested && succeeded + failed < batch.itemCount) return { move: "cancel", failure: null };
  if (failed > 0) return { move: "fail", failure: rowsFailed(failed, batch.itemCount) };
  return { move: canceled > 0 ? "cancel" : "succeed", failure: null };
}

function tooManyFailed(failed: number): BatchFailure {
  const message = `${failed === 1 ? "A row" : `${failed} rows`} failed, so the others were stopped`;
  return { code: "MAX_FAILURES", message };
}

function rowsFailed(failed: number, itemCount: number): BatchFailure {
  return { code: "ROWS_FAILED", message: `${failed} of ${itemCount} rows failed` };
}
