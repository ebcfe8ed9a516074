import { attemptMoves } from "../src/attempt.js";
import type { InputFileStatus } from "../src/input-file.js";
import { inputFileMoves } from "../src/input-file.js";
import { nextStatus } from "../src/machine.js";
import { type Action, type AttemptFacts, planRun, type RunFacts, type StepFacts } from "../src/plan.js";
import { DEFAULT_RETRY } from "../src/retry.js";
import { runMoves } from "../src/run.js";
import { runStepMoves } from "../src/run-step.js";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type MutableStep = Omit<Mutable<StepFacts>, "attempts"> & { attempts: Mutable<AttemptFacts>[] };
type Input = Mutable<RunFacts["inputs"][number]>;

/** A step as a test describes it. */
export interface StepPlan {
  readonly key: string;
  readonly deps?: readonly string[];
  readonly maxAttempts?: number;
  readonly transaction?: string | null;
  readonly rollback?: boolean;
}

/** The facts of one run in memory, changed only as the tables allow; every breach of a promise throws. */
export class World {
  readonly facts: Omit<RunFacts, "steps" | "inputs"> & {
    status: RunFacts["status"];
    cancelRequested: boolean;
    timedOut: boolean;
    steps: MutableStep[];
    inputs: Input[];
  };
  now = new Date("2026-11-20T12:00:00Z");
  /** The keys of steps in the order in which attempts began. */
  readonly started: string[] = [];
  private attempts = 0;

  constructor(
    steps: readonly StepPlan[],
    inputs = 0,
    readonly maxAttemptsLost = 3,
  ) {
    this.facts = {
      id: "run_1",
      status: "PENDING_INPUTS",
      cancelRequested: false,
      timedOut: false,
      inputs: Array.from({ length: inputs }, (_, i) => ({
        id: `file_${i}`,
        name: `f${i}`,
        status: "FETCHING",
        error: null,
      })),
      steps: steps.map(({ key, deps = [], maxAttempts = 1, transaction = null, rollback = false }) => ({
        key,
        deps,
        status: "PENDING",
        retry: { ...DEFAULT_RETRY, maxAttempts },
        nextAttemptAt: null,
        attempts: [],
        transaction,
        rollback,
      })),
    };
  }

  get isOver(): boolean {
    return this.facts.status !== "PENDING_INPUTS" && this.facts.status !== "RUNNING";
  }

  plan(): Action[] {
    return planRun(this.facts, this.now, { maxAttemptsLost: this.maxAttemptsLost });
  }

  step(key: string): MutableStep {
    return demand(
      this.facts.steps.find((step) => step.key === key),
      `there is no step ${key}`,
    );
  }

  statuses(): Record<string, string> {
    return Object.fromEntries(this.facts.steps.map((step) => [step.key, step.status]));
  }

  /** Attempts whose process has not ended. */
  live(): { step: MutableStep; attempt: Mutable<AttemptFacts> }[] {
    return this.facts.steps.flatMap((step) => step.attempts.filter(isLive).map((attempt) => ({ step, attempt })));
  }

  /** Carries out what the plan says until it says nothing new. `hasRoom` may hold attempts back, as full slots do. */
  settle(hasRoom: () => boolean = () => true): void {
    for (let round = 0; round < 20; round++) {
      const actions = this.plan().filter((action) => action.do !== "fetchInput");
      const held = actions.filter((action) => action.do === "startAttempt" && !hasRoom());
      if (actions.length === held.length) return;
      for (const action of actions) if (!held.includes(action)) this.apply(action);
    }
    throw new Error("the plan never settles");
  }

  apply(action: Action): void {
    switch (action.do) {
      case "moveRun":
        this.facts.status = demand(nextStatus(runMoves, action.move, this.facts.status), `run: no ${action.move}`);
        if (this.isOver) this.checkEnd();
        return;
      case "moveStep": {
        const step = this.step(action.stepKey);
        demand(
          step.attempts.length > 0 || action.move === "skip",
          `${step.key} ends by ${action.move} without an attempt`,
        );
        demand(!step.attempts.some(isLive), `${step.key} ends while its process lives`);
        step.status = demand(nextStatus(runStepMoves, action.move, step.status), `${step.key}: no ${action.move}`);
        step.nextAttemptAt = null;
        return;
      }
      case "startAttempt":
        this.start(this.step(action.stepKey), action.no);
        return;
      case "waitForRetry":
        this.step(action.stepKey).nextAttemptAt = action.until;
        return;
      case "stopAttempt": {
        const attempt = this.step(action.stepKey).attempts.find(({ id }) => id === action.attemptId);
        demand(attempt && isLive(attempt) && !attempt.stopping, "a stop of what does not run");
        attempt!.stopping = true;
        return;
      }
      case "fetchInput":
        return;
    }
  }

  end(
    step: MutableStep,
    move: keyof typeof attemptMoves,
    code: "STEP_EXIT_CODE" | "RUNNER_LOST" | "DRAIN_TIMEOUT" = "STEP_EXIT_CODE",
  ): void {
    const attempt = demand(step.attempts.at(-1), `${step.key} has no attempt`);
    attempt.status = demand(nextStatus(attemptMoves, move, attempt.status), `attempt: no ${move}`);
    if (!isLive(attempt) && move !== "succeed") attempt.failure = { code, message: "it broke" };
  }

  endInput(input: Input, move: keyof typeof inputFileMoves): void {
    input.status = demand(nextStatus<InputFileStatus>(inputFileMoves, move, input.status), `input: no ${move}`);
  }

  private start(step: MutableStep, no: number): void {
    const { facts } = this;
    demand(
      facts.status === "RUNNING" && !facts.cancelRequested,
      `${step.key} starts in a run that is ${facts.status} or canceled (G16)`,
    );
    demand(no === step.attempts.length + 1, `attempt ${no} of ${step.key} leaves a hole (G11)`);
    demand(!step.attempts.some(isLive), `${step.key} runs twice at once`);
    demand(
      !step.attempts.some(({ status }) => status === "SUCCEEDED"),
      `${step.key} has succeeded and starts again (G6)`,
    );
    const ready = step.deps.every((dep) => this.step(dep).status === "SUCCEEDED");
    demand(ready || step.rollback, `${step.key} starts before its deps have succeeded (G10)`);
    if (step.rollback)
      demand(
        facts.steps.some(({ status }) => status === "FAILED"),
        `${step.key} undoes what did not fail`,
      );
    if (step.status === "PENDING") step.status = "RUNNING";
    else
      demand(
        step.status === "RUNNING" && step.nextAttemptAt && step.nextAttemptAt <= this.now,
        `${step.key} starts too early`,
      );
    step.nextAttemptAt = null;
    step.attempts.push({ id: `att_${++this.attempts}`, no, status: "DISPATCHING", stopping: false, failure: null });
    this.started.push(step.key);
  }

  /** What G9 and G11 say about a run that has ended. */
  private checkEnd(): void {
    const { status, steps, cancelRequested, inputs } = this.facts;
    demand(this.live().length === 0, "the run has ended and a process lives");
    demand(
      !steps.some((step) => step.status === "PENDING" || step.status === "RUNNING"),
      "the run has ended and a step has not",
    );
    const failed = steps.some((step) => step.status === "FAILED") || inputs.some((input) => input.status === "FAILED");
    demand(status === (cancelRequested ? "CANCELED" : failed ? "FAILED" : "SUCCEEDED"), `the run is ${status}`);
    for (const step of steps) {
      const count = (what: string) => step.attempts.filter((attempt) => attempt.status === what).length;
      demand(count("FAILED") <= step.retry.maxAttempts, `${step.key} was tried too often`);
      demand(count("SUCCEEDED") <= 1, `${step.key} succeeded twice`);
      if (status === "SUCCEEDED")
        demand(step.status === "SUCCEEDED" || (step.rollback && step.status === "SKIPPED"), "a step is missing");
    }
  }
}

function isLive(attempt: AttemptFacts): boolean {
  return attempt.status === "DISPATCHING" || attempt.status === "RUNNING";
}

/** The value, unless it says no. */
function demand<T>(value: T | null | undefined | false, breach: string): T {
  if (value === null || value === undefined || value === false) throw new Error(breach);
  return value;
}
