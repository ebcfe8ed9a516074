import type { Executor, IsolationLevel, Task } from "@maia/runner-protocol";

/** What was stored; `storeId`: in a store that the bytes do not leave. */
export interface KeptBytes {
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly storeId?: string;
}

/**
 * Stores bytes that a task left behind, and says what they were. It may read them again from their beginning, where it
 * has to try again.
 */
export type KeepBytes = (bytes: () => AsyncIterable<Uint8Array>, task: Task) => Promise<KeptBytes>;

export type LogLevel = "info" | "warn" | "error";

/** Where packages go and come from. */
export interface DepsOptions {
  /** Folder for the sets of packages. Several executors may share one. */
  readonly root: string;
  /** Null: the machine's own settings say where npm looks. */
  readonly npmRegistry: string | null;
  /** Null: the machine's own settings say where pip looks. */
  readonly pythonIndex: string | null;
  /** How long an installation may take, in milliseconds. */
  readonly timeoutMs: number;
  /** Sets that nobody uses go when all together are larger, in bytes. */
  readonly cacheBytes: number;
}

export interface LocalExecutorOptions {
  /** Folder for the slots of attempts. Several executors may share one. */
  readonly root: string;
  /** Whose memory of started attempts counts; see `Executor.ledgerId`. */
  readonly ledgerId: string;
  /** "auto" takes the best level that the probe finds; a named one that cannot be had refuses work. */
  readonly isolation: "auto" | IsolationLevel;
  /** Where artifacts go. */
  readonly keep: KeepBytes;
  /** Pre-started processes kept ready per runtime that was used of late. 0: none. */
  readonly poolSize: number;
  /** Without a sign of life from this process for so long, the helper ends every tree, in milliseconds. */
  readonly leaseTtlMs: number;
  /** Left out: tasks that need packages are refused. */
  readonly deps?: DepsOptions;
  readonly log: (level: LogLevel, message: string, fields?: object) => void;
  /** How often a silent attempt yields a heartbeat, in milliseconds. Default 10,000. */
  readonly heartbeatMs?: number;
  /** Most processes that serve one reuse key. Default: four per core. */
  readonly reuseProcesses?: number;
  /** How long a reused process may wait for its next attempt, in milliseconds. Default 10,000. */
  readonly reuseIdleMs?: number;
  /** Attempts that one reused process serves at most. Default 10,000. */
  readonly reuseAttempts?: number;
}

/** What isolation steps get here, and why it is not better. */
export interface IsolationReport {
  readonly level: IsolationLevel;
  readonly missing: { readonly level: IsolationLevel; readonly reason: string }[];
  readonly warnings: string[];
}

export interface LocalExecutor extends Executor {
  readonly report: IsolationReport;
}
