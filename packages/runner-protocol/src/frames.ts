/** One line on the wire from a runner. `seq` counts from 1 without holes per attempt. */
export type Frame = StartedFrame | LogFrame | ArtifactFrame | TruncatedFrame | OutputFrame | HeartbeatFrame | ExitFrame;

export type IsolationLevel = "sandbox" | "pid-namespace" | "process-group";

export interface StartedFrame {
  readonly type: "started";
  readonly seq: number;
  readonly attemptId: string;
  readonly epoch: number;
  readonly pid: number;
  readonly isolation: IsolationLevel;
  /** True when one process serves attempts one after another. */
  readonly reused?: boolean;
}

export interface LogFrame {
  readonly type: "log";
  readonly seq: number;
  readonly stream: "stdout" | "stderr" | "system";
  readonly line: string;
  /** RFC 3339 in UTC with milliseconds. */
  readonly at: string;
}

export interface ArtifactFrame {
  readonly type: "artifact";
  readonly seq: number;
  /** A relative path. */
  readonly name: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly mime: string;
  /** The runner's own store that has the bytes, where the task said that they stay there. */
  readonly storeId?: string;
}

/** Says how much of the log a limit has cut. */
export interface TruncatedFrame {
  readonly type: "truncated";
  readonly seq: number;
  readonly lines: number;
  readonly bytes: number;
}

export interface OutputFrame {
  readonly type: "output";
  readonly seq: number;
  readonly data: { readonly [key: string]: unknown };
}

export interface HeartbeatFrame {
  readonly type: "heartbeat";
}

/** The end. `lastSeq` accounts for every frame before it. */
export interface ExitFrame {
  readonly type: "exit";
  readonly lastSeq: number;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly reason: "exited" | "timeout" | "canceled" | "oom" | "spawn_failed" | "lost";
  readonly error: { readonly code?: string; readonly message: string } | null;
}
