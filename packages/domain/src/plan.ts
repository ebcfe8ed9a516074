import type { AttemptStatus } from "./attempt.js";
import type { FailureFacts } from "./events.js";
import type { InputFileStatus } from "./input-file.js";
import { unreachable } from "./machine.js";
import { planSteps } from "./plan-steps.js";
import type { RetryPolicy } from "./retry.js";
import type { RunMove, RunStatus } from "./run.js";
import type { RunStepMove, RunStepStatus } from "./run-step.js";

/** How many attempts of a step may be lost before the step fails. Separate from the user's retries. Source: guarantee G11. */
export const MAX_ATTEMPTS_LOST = 3;

export interface AttemptFacts {
  readonly id: string;
  readonly no: number;
  readonly status: AttemptStatus;
  /** True once a stop was asked for. */
  readonly stopping: boolean;
  readonly failure: FailureFacts | null;
}

export interface StepFacts {
  readonly key: string;
  readonly deps: readonly string[];
  readonly status: RunStepStatus;
  readonly retry: RetryPolicy;
  /** When the next attempt is due, while the step waits for one. */
  readonly nextAttemptAt: Date | null;
  /** Since when the step is ready and waits for its runner. */
  readonly queuedAt?: Date | null;
  /** In the order of their numbers. */
  readonly attempts: readonly AttemptFacts[];
  /** The transaction that the step belongs to, if any. */
  readonly transaction?: string | null;
  /** True for the step that undoes its transaction; it runs only after a failure. */
  readonly rollback?: boolean;
}

export interface RunFacts {
  readonly id: string;
  readonly status: RunStatus;
  readonly cancelRequested: boolean;
  /** What whoever canceled it said. */
  readonly cancelReason?: string | null;
  /** True once the run has taken longer than it may. */
  readonly timedOut: boolean;
  /** How many steps may go on at once; null: as many as are ready. One that waits for its next attempt goes on. */
  readonly concurrency?: number | null;
  readonly inputs: readonly {
    readonly id: string;
    readonly name: string;
    readonly status: InputFileStatus;
    readonly error: string | null;
  }[];
  /** In the order of the snapshot. */
  readonly steps: readonly StepFacts[];
}

/** What to do next for a run. */
export type Action =
  | { readonly do: "moveRun"; readonly move: RunMove; readonly failure: FailureFacts | null }
  | { readonly do: "moveStep"; readonly stepKey: string; readonly move: RunStepMove }
  /** Opens attempt `no` of a step, as soon as there is room; a PENDING step moves to RUNNING with it. */
  | { readonly do: "startAttempt"; readonly stepKey: string; readonly no: number }
  /** Notes when the next attempt of a RUNNING step is due. */
  | { readonly do: "waitForRetry"; readonly stepKey: string; readonly until: Date }
  | { readonly do: "stopAttempt"; readonly stepKey: string; readonly attemptId: string }
  | { readonly do: "fetchInput"; readonly fileId: string };

export interface PlanLimits {
  readonly maxAttemptsLost: number;
}

/** What to do next for a run. The same facts always give the same actions, and facts that need nothing give none. */
export function planRun(
  run: RunFacts,
  now: Date,
  limits: PlanLimits = { maxAttemptsLost: MAX_ATTEMPTS_LOST },
): Action[] {
  switch (run.status) {
    case "PENDING_INPUTS":
      return planInputs(run);
    case "RUNNING":
      return planSteps(run, now, limits);
    case "SUCCEEDED":
    case "FAILED":
    case "CANCELED":
      return [];
    default:
      return unreachable(run.status);
  }
}

function planInputs(run: RunFacts): Action[] {
  if (run.cancelRequested) return [...skipPending(run.steps), cancelRun(run)];
  if (run.timedOut) return [...skipPending(run.steps), { do: "moveRun", move: "inputFailed", failure: timedOut() }];
  const failed = run.inputs.find((input) => input.status === "FAILED");
  if (failed) {
    const message = `Input file ${failed.name}: ${failed.error ?? "the download failed"}`;
    const failure: FailureFacts = { code: "INPUT_DOWNLOAD_FAILED", message, stepKey: null };
    return [...skipPending(run.steps), { do: "moveRun", move: "inputFailed", failure }];
  }
  if (run.inputs.every((input) => input.status === "READY"))
    return [{ do: "moveRun", move: "inputsReady", failure: null }];
  return run.inputs
    .filter((input) => input.status === "FETCHING")
    .map((input) => ({ do: "fetchInput", fileId: input.id }));
}

/** Skips the steps that never started. */
export function skipPending(steps: readonly StepFacts[]): Action[] {
  return steps
    .filter((step) => step.status === "PENDING")
    .map((step) => ({ do: "moveStep", stepKey: step.key, move: "skip" }));
}

/** Why a run that took too long has ended. */
export function timedOut(): FailureFacts {
  return { code: "STEP_TIMEOUT", message: "The run took longer than the workflow's timeoutMs", stepKey: null };
}

/** Ends a run that somebody canceled. */
export function cancelRun({ cancelReason = null }: RunFacts): Action {
  return { do: "moveRun", move: "cancel", failure: canceled("The run was canceled", cancelReason) };
}

/** Why something that somebody canceled has ended, in his own words where he said any. */
export function canceled(what: string, reason: string | null): FailureFacts {
  return { code: "CANCELED", message: reason === null ? what : `${what}: ${reason}`, stepKey: null };
}
