import type { IsolationLevel } from "./frames.js";

/** Limits for one attempt. Sizes in bytes. */
export interface TaskLimits {
  /** Longest log line; a longer one is split. */
  readonly logLineMax: number;
  /** Log bytes kept per attempt; the rest is counted in a `truncated` frame. */
  readonly logAttemptMax: number;
  /** Largest output document. */
  readonly outputMax: number;
  /** Most artifacts that one attempt may leave. */
  readonly artifactsMax: number;
  /** Largest artifact, in bytes. */
  readonly artifactMax: number;
  /** Address space of the step's processes, or null for none. */
  readonly memoryBytes: number | null;
  /** Most processes of the step, or null for the executor's own default. */
  readonly processes: number | null;
  /** CPU time of each process of the step, in milliseconds, counted in whole seconds; null or absent for none. */
  readonly cpuMs?: number | null;
}

/** One attempt to carry out: the body of `POST /v1/exec/step` and `/v1/exec/deps`, and an item of a poll. */
export interface Task {
  readonly attemptId: string;
  /** The owner's epoch. A runner refuses one lower than it has seen for the run. */
  readonly epoch: number;
  /** Secret of this attempt: reports count only from who holds it. */
  readonly token: string;
  readonly kind: "step" | "deps";
  readonly runId: string;
  readonly stepKey: string;
  readonly attemptNo: number;
  readonly workflowId: string;
  readonly runtime: "node" | "python" | "shell";
  readonly script: { readonly sha256: string };
  readonly input: { readonly sha256: string };
  /** Files to lay into the run directory; `path` is relative to it. */
  readonly files: readonly TaskFile[];
  readonly env: { readonly [name: string]: string };
  readonly secrets: { readonly [name: string]: string };
  readonly deps: TaskDeps | null;
  /** Attempts with the same key may share one process, one after another. */
  readonly reuseKey: string | null;
  readonly transaction: string | null;
  readonly timeoutMs: number;
  /** Between SIGTERM and SIGKILL, in milliseconds. */
  readonly graceMs: number;
  /** How long the attempt may be out of contact before its tree is killed, in milliseconds. */
  readonly reconnectWindowMs: number;
  readonly limits: TaskLimits;
  /** The level that the task demands, or null for the runner's own. */
  readonly isolation: IsolationLevel | null;
  /**
   * The runner's own store that the attempt's artifacts are moved to, and that has the files which say `kept`. Its
   * artifact frames name that store, and the bytes are not sent. Left out: bytes go to who gave the task.
   */
  readonly keep?: string;
}

/** The packages that a task needs: of a step, installed before it begins; of a task of kind "deps", all that it does. */
export interface TaskDeps {
  /** SHA-256 of the canonical JSON of the dependency map and the lock. */
  readonly hash: string;
  readonly npm: { readonly [name: string]: string };
  readonly python: readonly string[];
  /** npm packages whose install scripts may run. Left out: none. */
  readonly allowScripts?: readonly string[];
  /** The text that pins every package. Null: nobody has resolved them yet, which only a task of kind "deps" may do. */
  readonly lock: string | null;
}

export interface TaskFile {
  readonly path: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  /** True: the bytes are in the store that the task names. */
  readonly kept?: boolean;
}
