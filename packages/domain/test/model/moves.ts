import { engineFaults, engineReceives, engineSteps } from "./engine.js";
import { runnerReceives, runnerSteps } from "./runner.js";
import { messages, type State, withoutIdleMessages } from "./state.js";

/** Ways to break the design, to see that the model would notice. */
export type Mutation =
  | "claim without compare-and-set"
  | "write without epoch"
  | "ledger after spawn"
  | "send again to another ledger"
  | "no ledger in the task"
  | "start again what was lost in a crash";

/** Something that may happen next. */
export interface Step {
  readonly what: string;
  readonly state: State;
}

/** All that may happen next. Pausing a process needs no move of its own: its moves simply do not come for a while. */
export function nextSteps(state: State, mutation: Mutation | null): Step[] {
  const steps: Step[] = [];
  const add: Add = (what, next) => steps.push({ what, state: withoutIdleMessages({ ...state, ...next }) });
  for (const at of [0, 1] as const) {
    engineSteps(state, at, mutation, add);
    engineFaults(state, at, add);
  }
  runnerSteps(state, mutation, add);
  for (const [bit, message] of messages.entries()) {
    if (((state.wire >> bit) & 1) === 0) continue;
    if (message.is === "task" || message.is === "question") runnerReceives(state, message, mutation, add);
    else for (const at of [0, 1] as const) engineReceives(state, at, message, mutation, add);
  }
  return steps;
}

/** Adds what may happen, and what it changes. */
export type Add = (what: string, next: Partial<State>) => void;
