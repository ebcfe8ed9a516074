import type { Move } from "./machine.js";

export type RunStepStatus = "PENDING" | "RUNNING" | "SUCCEEDED" | "FAILED" | "CANCELED" | "SKIPPED";

export const runStepMoves = {
  start: { from: ["PENDING"], to: "RUNNING" },
  succeed: { from: ["RUNNING"], to: "SUCCEEDED" },
  fail: { from: ["RUNNING"], to: "FAILED" },
  cancel: { from: ["RUNNING"], to: "CANCELED" },
  skip: { from: ["PENDING"], to: "SKIPPED" },
} as const satisfies Record<string, Move<RunStepStatus>>;

export type RunStepMove = keyof typeof runStepMoves;

export function isStepOver(status: RunStepStatus): boolean {
  return status !== "PENDING" && status !== "RUNNING";
}
