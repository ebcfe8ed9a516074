import type { Frame, IsolationLevel } from "./frames.js";
import type { Task } from "./task.js";

/** Where the bytes named by a task are to be had: in memory, or in a file that stays while the attempt lives. */
export type Content = { readonly bytes: Uint8Array } | { readonly path: string };

/** Finds content by its SHA-256. */
export type FindContent = (sha256: string) => Content | null;

export type CancelMode = "stop" | "kill";

/** What the caller knows of an attempt that it may have sent before. */
export interface StartOptions {
  /** The ledger that the attempt is bound to; another one must not start it. Left out: the executor's own. */
  readonly ledgerId?: string;
  /** The first frame that is still wanted, where the attempt has started before. Frames before it may come all the same. */
  readonly fromSeq?: number;
}

/**
 * Carries out tasks and gives them back as frames: local processes, or a runner elsewhere. Frames come in batches, in
 * order, and end with the exit frame. An iterator that ends without one says only that contact was lost.
 */
export interface Executor extends AsyncDisposable {
  /**
   * Whose memory of started attempts counts. Another id later means that attempts bound to this one are LOST.
   * @throws {ExecutorError} UNREACHABLE while a runner elsewhere has not been reached yet.
   */
  readonly ledgerId: string;
  readonly isolation: IsolationLevel;
  /** Starts the attempt at most once, ever. Starting it again re-attaches. @throws {ExecutorError} */
  start(task: Task, find: FindContent, options?: StartOptions): AsyncIterable<readonly Frame[]>;
  /** Follows an attempt again from frame `fromSeq`. @throws {ExecutorError} */
  attach(attemptId: string, fromSeq: number): AsyncIterable<readonly Frame[]>;
  /** Ends the attempt's whole process tree: "stop" asks first and kills after the grace, "kill" does not ask. */
  cancel(attemptId: string, mode: CancelMode): Promise<void>;
}

/** Why an executor did not take a task or lost one. */
export type ExecutorErrorCode =
  | "STALE_EPOCH" // a newer owner has been seen
  | "ATTEMPT_LOST" // started once, and its outcome is not known
  | "ATTEMPT_UNKNOWN" // never started here
  | "BLOB_MISSING" // content that the executor does not have
  | "BUSY" // no room; nothing was recorded
  | "ISOLATION_UNAVAILABLE" // the level asked for cannot be had; nothing was recorded
  | "LEDGER_CHANGED" // another ledger answers
  | "UNREACHABLE" // no answer; whether it started is not known
  | "REFUSED"; // the task is not acceptable

export class ExecutorError extends Error {
  override readonly name = "ExecutorError";
  constructor(
    readonly code: ExecutorErrorCode,
    message: string,
    options?: ErrorOptions & { missing?: readonly string[] },
  ) {
    super(message, options);
    this.missing = options?.missing ?? [];
  }
  /** The hashes that are missing, with BLOB_MISSING. */
  readonly missing: readonly string[];
}
