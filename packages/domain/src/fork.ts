import type { RunStepStatus } from "./run-step.js";
import type { StepSnapshot, WorkflowSnapshot } from "./workflow-snapshot.js";

/** What of an earlier run a re-run carries out again. It is kept on the re-run's job. */
export type Rerun =
  /** All of it. */
  | { readonly kind: "whole" }
  /** A step and whatever follows from it; results of other finished steps are reused. */
  | { readonly kind: "from"; readonly from: string }
  /** One attempt, once, with the input that it had. */
  | { readonly kind: "attempt"; readonly attemptId: string; readonly stepKey: string; readonly attemptNo: number };

/** A step as a fork sees it: its place in the graph, and how it ended in the run that is forked. */
export interface ForkStep extends Pick<StepSnapshot, "key" | "deps" | "transaction" | "rollback"> {
  /** SKIPPED where the forked run did not have the step at all. */
  readonly status: RunStepStatus;
}

/**
 * The steps whose results a run that is forked at a step reuses. Whatever has not succeeded runs again, and so does all
 * that waits for a step that does. A transaction is one piece of work: one member running again means that all do.
 * Rollback steps have no results to reuse.
 */
export function stepsToReuse(steps: readonly ForkStep[], from: string): ReadonlySet<string> {
  const follows = Map.groupBy(
    steps.flatMap(({ key, deps }) => deps.map((dep) => ({ dep, key }))),
    ({ dep }) => dep,
  );
  const groups = Map.groupBy(
    steps.filter(({ transaction }) => transaction),
    ({ transaction }) => transaction,
  );
  const stepOf = new Map(steps.map((step) => [step.key, step]));
  const begin = steps.filter(({ key, status, rollback }) => key === from || status !== "SUCCEEDED" || rollback);
  const again = new Set(begin.map(({ key }) => key));
  for (const key of again) {
    for (const { key: next } of follows.get(key) ?? []) again.add(next); // a Set goes on with what is added meanwhile
    const step = stepOf.get(key);
    if (!step?.transaction || step.rollback) continue;
    for (const member of groups.get(step.transaction) ?? []) again.add(member.key);
  }
  return new Set(steps.map(({ key }) => key).filter((key) => !again.has(key)));
}

/** The steps that a step waits for, directly or through others. */
export function stepsBefore(steps: readonly Pick<ForkStep, "key" | "deps">[], stepKey: string): ReadonlySet<string> {
  const depsOf = new Map(steps.map(({ key, deps }) => [key, deps]));
  const before = new Set(depsOf.get(stepKey));
  for (const key of before) for (const dep of depsOf.get(key) ?? []) before.add(dep);
  return before;
}

/** The part of a workflow that a re-run of one attempt has: that step, tried once, and the steps that it waits for. */
export function aloneWith(snapshot: WorkflowSnapshot, stepKey: string): WorkflowSnapshot {
  const before = stepsBefore(snapshot.steps, stepKey);
  const steps = snapshot.steps
    .filter(({ key }) => key === stepKey || before.has(key))
    .map((step) => (step.key === stepKey ? { ...step, retry: { ...step.retry, maxAttempts: 1 } } : step));
  return { ...snapshot, steps };
}

/** Why a step cannot be where a re-run begins, or null. */
export function forkProblem(steps: readonly ForkStep[], from: string): string | null {
  const step = steps.find(({ key }) => key === from);
  if (!step) return `there is no step ${JSON.stringify(from.slice(0, 64))}; the run has ${shown(steps)}`;
  if (step.rollback) return `${from} runs only when its transaction ${step.transaction} fails; name a step of that`;
  return null;
}

/** Why an attempt of a step cannot be run again alone, or null. */
export function aloneProblem({ key, transaction, rollback }: Omit<ForkStep, "status">): string | null {
  if (!transaction) return null;
  const way = rollback ? "name a step of that in `from`" : `re-run {"from": ${JSON.stringify(key)}}`;
  return `is of step ${key}, which is part of transaction ${transaction} and never runs alone; ${way}`;
}

const SHOWN = 20;

function shown(steps: readonly ForkStep[]): string {
  const keys = steps.slice(0, SHOWN).map(({ key }) => key);
  return steps.length > SHOWN ? `${keys.join(", ")}, …` : keys.join(", ");
}
