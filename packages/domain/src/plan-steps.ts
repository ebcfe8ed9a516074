import type { FailureFacts } from "./events.js";
import {
  type Action,
  type AttemptFacts,
  cancelRun,
  type PlanLimits,
  type RunFacts,
  type StepFacts,
  timedOut,
} from "./plan.js";
import { retryDelayMs } from "./retry.js";
import type { RunStepMove, RunStepStatus } from "./run-step.js";

/** What to do next for a run whose inputs are there. */
export function planSteps(run: RunFacts, now: Date, limits: PlanLimits): Action[] {
  const board = new Board(run);
  for (const step of run.steps) if (step.status === "RUNNING") settle(step, board, now, limits);
  if (board.isEnding) planEnding(board, now);
  else planProgress(board, now);
  return board.actions;
}

/** The actions so far, and the steps' statuses as they will be after them. */
class Board {
  readonly actions: Action[] = [];
  readonly after: Map<string, RunStepStatus>;
  /** When steps whose attempt has just failed are due again, should the run go on. */
  readonly waits = new Map<string, Date>();
  /** The run's failure, should it end by one: the first that is recorded, else the first that is found now. */
  failure: FailureFacts | null;
  private readonly members = new Map<string, StepFacts[]>();

  constructor(readonly run: RunFacts) {
    this.after = new Map(run.steps.map((step) => [step.key, step.status]));
    this.failure = recordedFailure(run.steps) ?? (run.timedOut ? timedOut() : null);
    for (const step of run.steps) {
      if (!step.transaction || step.rollback) continue;
      const list = this.members.get(step.transaction);
      if (list) list.push(step);
      else this.members.set(step.transaction, [step]);
    }
  }

  /** True once the run cannot succeed any more. */
  get isEnding(): boolean {
    return this.run.cancelRequested || this.failure !== null;
  }

  move(step: StepFacts, move: Exclude<RunStepMove, "start">): void {
    this.actions.push({ do: "moveStep", stepKey: step.key, move });
    this.after.set(step.key, statusAfter[move]);
  }

  start(step: StepFacts): void {
    this.actions.push({ do: "startAttempt", stepKey: step.key, no: (step.attempts.at(-1)?.no ?? 0) + 1 });
  }

  is(step: StepFacts, status: RunStepStatus): boolean {
    return this.after.get(step.key) === status;
  }

  /** The statuses of the steps that do the work of a rollback step's transaction. */
  groupOf(rollback: StepFacts): (RunStepStatus | undefined)[] {
    return (this.members.get(rollback.transaction ?? "") ?? []).map((member) => this.after.get(member.key));
  }
}

const statusAfter = { succeed: "SUCCEEDED", fail: "FAILED", cancel: "CANCELED", skip: "SKIPPED" } as const;

/** Draws the consequence of a RUNNING step's last attempt, once that has ended. */
function settle(step: StepFacts, board: Board, now: Date, limits: PlanLimits): void {
  const last = step.attempts.at(-1);
  if (!last || isLive(last)) return;
  if (last.status === "SUCCEEDED") board.move(step, "succeed");
  else if (step.nextAttemptAt === null) settleFailure(step, last, board, retryAt(step, last, board.run, now, limits));
}

function settleFailure(step: StepFacts, last: AttemptFacts, board: Board, until: Date | null): void {
  // One that had failed by itself before its stop arrived has failed (docs/states.md).
  const wasStopped = last.status === "CANCELED" || (last.stopping && last.status === "LOST");
  if (board.isEnding && wasStopped) {
    board.move(step, "cancel");
  } else if (until === null) {
    board.failure ??= failureOf(step);
    board.move(step, "fail");
  } else {
    board.waits.set(step.key, until);
  }
}

/** What another try would not change. */
const FINAL: ReadonlySet<string> = new Set(["RUNNER_NOT_ALLOWED", "RUNNER_QUEUE_TIMEOUT"]);

/** When to try again after an attempt that did not succeed; null: never. */
function retryAt(step: StepFacts, last: AttemptFacts, run: RunFacts, now: Date, limits: PlanLimits): Date | null {
  if (isMember(step) || last.status === "CANCELED") return null; // members of a transaction are not tried again alone
  if (last.failure !== null && FINAL.has(last.failure.code)) return null;
  if (last.status === "LOST") {
    // An attempt that ended because Maia itself was stopped is nobody's fault, and counts against no budget (G11).
    const lost = step.attempts.filter(
      ({ status, failure }) => status === "LOST" && failure?.code !== "DRAIN_TIMEOUT",
    ).length;
    return lost < limits.maxAttemptsLost ? now : null;
  }
  const failed = step.attempts.filter((attempt) => attempt.status === "FAILED").length;
  if (failed >= step.retry.maxAttempts) return null;
  return new Date(now.getTime() + retryDelayMs(step.retry, failed, `${run.id}/${step.key}`));
}

/** Starts what is ready, or ends the run in success. */
function planProgress(board: Board, now: Date): void {
  const { steps } = board.run;
  for (const step of steps) {
    if (!step.rollback || !board.is(step, "PENDING")) continue;
    if (board.groupOf(step).every((status) => status === "SUCCEEDED")) board.move(step, "skip");
  }
  if (steps.every((step) => board.is(step, "SUCCEEDED") || (step.rollback && board.is(step, "SKIPPED")))) {
    board.actions.push({ do: "moveRun", move: "stepsSucceeded", failure: null });
    return;
  }
  let room = (board.run.concurrency ?? steps.length) - steps.filter((step) => board.is(step, "RUNNING")).length;
  for (const step of steps) {
    const isReady = step.status === "PENDING" && !step.rollback;
    if (!isReady || !step.deps.every((dep) => board.after.get(dep) === "SUCCEEDED")) goOn(step, board, now);
    else if (room-- > 0) board.start(step);
  }
}

/** Stops what runs, skips what has not begun, undoes open transactions, and then ends the run. */
function planEnding(board: Board, now: Date): void {
  const { run } = board;
  for (const step of run.steps) {
    if (step.rollback) continue;
    if (step.status === "PENDING") board.move(step, "skip");
    else if (board.is(step, "RUNNING")) stop(step, board);
  }
  for (const step of run.steps) if (step.rollback) planRollback(step, board, now);
  if (run.steps.some((step) => board.is(step, "RUNNING") || board.is(step, "PENDING"))) return;
  board.actions.push(
    run.cancelRequested ? cancelRun(run) : { do: "moveRun", move: "stepFailed", failure: board.failure },
  );
}

/** Ends a RUNNING step of a run that is ending: asks its process to stop, or gives up the wait for a retry. */
function stop(step: StepFacts, board: Board): void {
  const last = step.attempts.at(-1);
  if (!last || !isLive(last)) board.move(step, "cancel");
  else if (!last.stopping) board.actions.push({ do: "stopAttempt", stepKey: step.key, attemptId: last.id });
}

/**
 * A transaction that was begun and did not succeed is undone once its last member has ended, except after a cancel,
 * which starts nothing any more (G16).
 */
function planRollback(step: StepFacts, board: Board, now: Date): void {
  const { cancelRequested } = board.run;
  if (board.is(step, "RUNNING") && cancelRequested) stop(step, board);
  else if (board.is(step, "RUNNING")) goOn(step, board, now);
  if (!board.is(step, "PENDING")) return;
  const group = board.groupOf(step);
  const isOpen = group.some((status) => status !== "SKIPPED") && group.some((status) => status !== "SUCCEEDED");
  if (cancelRequested || !isOpen) board.move(step, "skip");
  else if (!group.includes("RUNNING")) board.start(step);
}

/** Notes when a RUNNING step is due again, or starts its next attempt when it is. */
function goOn(step: StepFacts, board: Board, now: Date): void {
  const until = board.waits.get(step.key);
  if (until) board.actions.push({ do: "waitForRetry", stepKey: step.key, until });
  const last = step.attempts.at(-1);
  if (!board.is(step, "RUNNING") || (last && isLive(last))) return;
  if (step.nextAttemptAt !== null && step.nextAttemptAt <= now) board.start(step);
}

function isLive(attempt: AttemptFacts): boolean {
  return attempt.status === "DISPATCHING" || attempt.status === "RUNNING";
}

/** True for a step that does the work of a transaction. */
function isMember(step: StepFacts): boolean {
  return Boolean(step.transaction) && !step.rollback;
}

function recordedFailure(steps: readonly StepFacts[]): FailureFacts | null {
  const failed = steps.filter((step) => step.status === "FAILED");
  const first = failed.find((step) => !step.rollback) ?? failed[0];
  return first ? failureOf(first) : null;
}

function failureOf(step: StepFacts): FailureFacts {
  const failure = step.attempts.at(-1)?.failure ?? { code: "INTERNAL" as const, message: "The step failed" };
  return { ...failure, stepKey: step.key };
}
