import type { EventData, EventKind } from "@maia/domain";
import type { Artifact, Failure, Run } from "../api-types.js";
import { isEnded } from "../output/status.js";

/** A step as its follower sees it. */
export interface StepView {
  readonly key: string;
  readonly deps: readonly string[];
  readonly status: string;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  readonly attemptNo: number;
  /** In a re-run: its result is an earlier run's. */
  readonly isReused: boolean;
  /** Set while the step waits for another attempt. */
  readonly nextAttemptAt: string | null;
  readonly failure: Failure | null;
  readonly lastLine: string;
}

/** A run as its follower sees it: what events told so far. */
export interface RunView {
  readonly id: string;
  readonly workflow: string;
  readonly version: number;
  readonly status: string;
  readonly startedAt: string;
  readonly finishedAt: string | null;
  readonly steps: ReadonlyMap<string, StepView>;
}

/** An event from the stream. */
export type RunEvent = {
  [K in EventKind]: { readonly id: string; readonly kind: K; readonly data: EventData[K] };
}[EventKind];

/** Where a follower begins: every step known, none begun, whatever has happened since. Events tell the rest, from the first. */
export function openView(run: Run): RunView {
  const steps = run.steps.map(({ key, deps }): [string, StepView] => [
    key,
    {
      key,
      deps,
      status: "PENDING",
      startedAt: null,
      finishedAt: null,
      attemptNo: 0,
      isReused: false,
      nextAttemptAt: null,
      failure: null,
      lastLine: "",
    },
  ]);
  const { id, workflow, version, createdAt } = run;
  return {
    id,
    workflow,
    version,
    status: "PENDING_INPUTS",
    startedAt: createdAt,
    finishedAt: null,
    steps: new Map(steps),
  };
}

/** The view after an event. */
export function applyEvent(view: RunView, { kind, data }: RunEvent): RunView {
  switch (kind) {
    case "run_status":
      return { ...view, status: data.status, finishedAt: isEnded(data.status) ? data.at : null };
    case "step_status":
      return withStep(view, data.stepKey, (step) => ({
        status: data.status,
        isReused: data.reusedFrom !== undefined,
        nextAttemptAt: data.nextAttemptAt ?? null,
        startedAt: step.startedAt ?? (data.status === "RUNNING" ? data.at : null),
        finishedAt: isEnded(data.status) ? data.at : null,
      }));
    case "attempt_status":
      return withStep(view, data.stepKey, (step) => ({
        attemptNo: Math.max(step.attemptNo, data.attemptNo),
        nextAttemptAt: isEnded(data.status) ? step.nextAttemptAt : null,
        failure: data.failure ?? (data.status === "SUCCEEDED" ? null : step.failure),
      }));
    case "log_line":
      return withStep(view, data.stepKey, (step) => ({
        lastLine: data.lines.findLast(({ line }) => line.trim() !== "")?.line ?? step.lastLine,
      }));
    default:
      return view;
  }
}

function withStep(view: RunView, key: string, change: (step: StepView) => Partial<StepView>): RunView {
  const step = view.steps.get(key);
  if (!step) return view;
  return { ...view, steps: new Map(view.steps).set(key, { ...step, ...change(step) }) };
}

/** What a run left for its user: without the system's own files, and of each step what its last attempt left. */
export function userArtifacts(artifacts: readonly Artifact[]): Artifact[] {
  const own = artifacts.filter(({ system }) => !system);
  const last = new Map<string, number>();
  for (const { stepKey, attemptNo } of own) last.set(stepKey, Math.max(attemptNo, last.get(stepKey) ?? 0));
  return own.filter(({ stepKey, attemptNo }) => attemptNo === last.get(stepKey));
}
