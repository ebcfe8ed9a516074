import type { AttemptStatus } from "./attempt.js";
import type { BatchFailure, BatchStatus } from "./batch.js";
import type { FailureCode } from "./errors.js";
import type { InputFileStatus } from "./input-file.js";
import type { JobRunStatus } from "./job-run.js";
import type { RunStatus } from "./run.js";
import type { RunStepStatus } from "./run-step.js";
import type { RunnerStatus } from "./runner.js";

export const eventKinds = [
  "run_status",
  "step_status",
  "attempt_status",
  "log_line",
  "input_file_status",
  "artifact_created",
  "job_status",
  "batch_status",
  "runner_status",
] as const;

export type EventKind = (typeof eventKinds)[number];

export type LogStream = "stdout" | "stderr" | "system";

/** One line of a log. `seq` counts from 1 within its attempt; `at` is RFC 3339. */
export interface LogLine {
  readonly seq: number;
  readonly at: string;
  readonly stream: LogStream;
  readonly line: string;
}

export interface FailureFacts {
  readonly code: FailureCode;
  readonly message: string;
  readonly stepKey?: string | null;
}

/** What each kind of LogEvent says. `at` is RFC 3339; `epoch` is the owner's, so that a reader can see fencing hold. */
export interface EventData {
  run_status: {
    runId: string;
    jobId: string;
    status: RunStatus;
    epoch: number;
    at: string;
    failure?: FailureFacts | null;
  };
  step_status: {
    runId: string;
    stepKey: string;
    status: RunStepStatus;
    epoch: number;
    at: string;
    nextAttemptAt?: string | null;
    /** In a re-run: whose result the step has. It begins SUCCEEDED. */
    reusedFrom?: { readonly runId: string; readonly attemptId: string; readonly attemptNo: number };
  };
  attempt_status: {
    runId: string;
    stepKey: string;
    attemptNo: number;
    attemptId: string;
    status: AttemptStatus;
    epoch: number;
    at: string;
    isolation?: string | null;
    exitCode?: number | null;
    signal?: string | null;
    reason?: string | null;
    failure?: FailureFacts | null;
  };
  log_line: { runId: string; stepKey: string; attemptNo: number; lines: readonly LogLine[] };
  input_file_status: {
    runId: string;
    fileId: string;
    name: string;
    status: InputFileStatus;
    at: string;
    sizeBytes?: number | null;
    sha256?: string | null;
    error?: string | null;
    /** Bytes so far, and of the whole where that is known, while the file is FETCHING. */
    receivedBytes?: number;
    totalBytes?: number | null;
  };
  artifact_created: {
    runId: string;
    stepKey: string;
    attemptNo: number;
    artifactId: string;
    name: string;
    mime: string;
    sizeBytes: number;
    sha256: string;
    system: boolean;
    at: string;
  };
  job_status: {
    jobId: string;
    status: JobRunStatus;
    runId?: string | null;
    /** Of a batch's row. */
    batchId?: string;
    at: string;
    failure?: FailureFacts | null;
  };
  batch_status: { batchId: string; status: BatchStatus; at: string; failure?: BatchFailure | null };
  runner_status: {
    runnerId: string;
    runnerName?: string;
    status: RunnerStatus;
    connected?: boolean;
    pausedUntil?: string | null;
    at: string;
  };
}

/** A stored event. Ids grow in commit order. */
export interface LogEvent<K extends EventKind = EventKind> {
  readonly id: number;
  readonly runId: string | null;
  readonly kind: K;
  readonly data: EventData[K];
}
