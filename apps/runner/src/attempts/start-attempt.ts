import { join } from "node:path";
import { type Content, type Executor, ExecutorError, type Task } from "@maia/runner-protocol";
import type { Logger } from "@maia/service";
import type { BlobStore } from "@maia/storage";
import { type Keep, openKept } from "../keep/keep.js";
import { LogBrokenError } from "../ledger/durable-log.js";
import type { Ledger } from "../ledger/ledger.js";
import type { Attempt } from "./attempt.js";
import { Spool } from "./spool.js";

export interface AttemptsDeps {
  readonly ledger: Ledger;
  /** The folder of the spools. */
  readonly spoolDir: string;
  readonly executor: Executor;
  readonly blobs: BlobStore;
  /** Where data stays that is not to leave the runner; null: nowhere. */
  readonly keep: Keep | null;
  readonly slots: number;
  /** Why no task can be carried out at all, or null. */
  readonly whyNoWork: () => string | null;
  readonly logger: Logger;
  readonly clock: () => Date;
  /** Told when the ledger cannot be trusted any more; the process must end. */
  readonly onBroken: (error: Error) => void;
}

/**
 * Remembers an attempt, then starts it; calls back when it is over and noted. Whatever is thrown, nothing was started and
 * nothing is remembered. @throws {ExecutorError} BLOB_MISSING, BUSY, REFUSED where kept data is not to be had
 */
export async function startAttempt(deps: AttemptsDeps, attempt: Attempt, onOver: () => void): Promise<void> {
  const { ledger, executor, blobs, clock, logger } = deps;
  const { task, attemptId, runId } = attempt;
  const findKept = await openKept(task, deps.keep);
  const isElsewhere = (sha256: string) => attempt.inline.has(sha256) || findKept(sha256) !== null;
  const missing = await missingOf(
    contentOf(task).filter((sha256) => !isElsewhere(sha256)),
    blobs,
  );
  if (missing.length > 0)
    throw new ExecutorError("BLOB_MISSING", `The runner lacks ${missing.length} of the task's blobs`, { missing });
  const spool = await orBusy(deps, Spool.create(spoolPath(deps, attemptId)));
  const accepted = orBusy(deps, trusted(deps, ledger.accept(attemptId, runId, task.epoch, clock(), stepOf(task))));
  await accepted.catch(() => spool.close());
  await accepted;

  const find = (sha256: string): Content => {
    const bytes = attempt.inline.get(sha256);
    return bytes ? { bytes } : (findKept(sha256) ?? { path: blobs.path(sha256) });
  };
  void attempt
    .run(spool, () => executor.start(task, find))
    .then(
      () => "ended" as const,
      (error: unknown) => {
        logger.error("the frames of an attempt could not be kept", { attemptId, error });
        return "lost" as const;
      },
    )
    .then((state) => ledger.end(attemptId, state, clock()))
    .catch((error: unknown) => logger.error("the end of an attempt could not be noted", { attemptId, error }))
    .finally(onOver);
}

/** Where the frames of an attempt lie. */
export function spoolPath({ spoolDir }: AttemptsDeps, attemptId: string): string {
  return join(spoolDir, `${attemptId}.ndjson`);
}

/** The hashes of all that a task needs. An installation brings its lockfile along and needs nothing. */
export function contentOf(task: Task): string[] {
  if (task.kind === "deps") return [];
  return [task.script.sha256, task.input.sha256, ...task.files.map(({ sha256 }) => sha256)];
}

function stepOf({ kind, stepKey, attemptNo }: Task): { key: string; no: number } | undefined {
  return kind === "step" ? { key: stepKey, no: attemptNo } : undefined;
}

/** Passes a promise of the ledger on, and raises the alarm where the ledger is broken. */
export async function trusted<T>({ onBroken }: AttemptsDeps, promise: Promise<T>): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof LogBrokenError) onBroken(error);
    throw error;
  }
}

/** A disk that takes no more before anything was started means: come back later. */
async function orBusy<T>({ logger }: AttemptsDeps, promise: Promise<T>): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    logger.error("an attempt could not be remembered", { error });
    throw new ExecutorError("BUSY", "The runner's disk does not take a new attempt", { cause: error });
  }
}

async function missingOf(hashes: readonly string[], blobs: BlobStore): Promise<string[]> {
  const wanted = [...new Set(hashes)];
  const there = await Promise.all(wanted.map((sha256) => blobs.touch(sha256)));
  return wanted.filter((_, index) => !there[index]);
}
