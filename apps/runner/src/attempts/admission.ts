import { ExecutorError, type IsolationLevel, type Task } from "@maia/runner-protocol";
import type { AttemptsDeps } from "./start-attempt.js";

/** What a runner has in hand when a task comes. */
export interface InHand {
  readonly tasks: readonly Task[];
  /** How many slots are taken. */
  readonly taken: number;
  /** False while the runner stops, unless the task is one that it still begins. */
  readonly mayStart: boolean;
}

/** Isolation from weak to strong. */
const LEVELS: readonly IsolationLevel[] = ["process-group", "pid-namespace", "sandbox"];

/** @throws {ExecutorError} ATTEMPT_LOST, BUSY or ISOLATION_UNAVAILABLE for a task that is not to be begun. */
export function checkTask(task: Task, inHand: InHand, deps: AttemptsDeps): void {
  checkOrder(task, inHand, deps);
  checkRoom(task, inHand, deps);
}

/** A task that the network held back must not start once the engine has gone on to the step's next attempt (G6). */
function checkOrder(task: Task, { tasks }: InHand, { ledger }: AttemptsDeps): void {
  const { kind, runId, stepKey, attemptNo, attemptId } = task;
  if (kind !== "step") return;
  const running = tasks.filter((other) => other.runId === runId && other.stepKey === stepKey);
  const latest = Math.max(ledger.latestOf(runId, stepKey), ...running.map((other) => other.attemptNo));
  if (attemptNo < latest)
    throw new ExecutorError("ATTEMPT_LOST", `Attempt ${attemptId} is no ${attemptNo} of its step; ${latest} has begun`);
}

function checkRoom({ isolation }: Task, { taken, mayStart }: InHand, deps: AttemptsDeps): void {
  const { slots, executor, whyNoWork } = deps;
  const reason = whyNoWork();
  if (reason !== null) throw new ExecutorError("ISOLATION_UNAVAILABLE", reason);
  if (!mayStart) throw new ExecutorError("BUSY", "The runner is stopping and takes no new tasks");
  if (taken >= slots) throw new ExecutorError("BUSY", `All ${slots} slots of the runner are taken`);
  if (isolation !== null && LEVELS.indexOf(executor.isolation) < LEVELS.indexOf(isolation)) {
    const message = `The task demands isolation ${isolation}, and this runner has ${executor.isolation}`;
    throw new ExecutorError("ISOLATION_UNAVAILABLE", message);
  }
}
