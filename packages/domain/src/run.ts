import type { Move } from "./machine.js";

export type RunStatus = "PENDING_INPUTS" | "RUNNING" | "SUCCEEDED" | "FAILED" | "CANCELED";

export const runMoves = {
  inputsReady: { from: ["PENDING_INPUTS"], to: "RUNNING" },
  inputFailed: { from: ["PENDING_INPUTS"], to: "FAILED" },
  stepsSucceeded: { from: ["RUNNING"], to: "SUCCEEDED" },
  stepFailed: { from: ["RUNNING"], to: "FAILED" },
  cancel: { from: ["PENDING_INPUTS", "RUNNING"], to: "CANCELED" },
} as const satisfies Record<string, Move<RunStatus>>;

export type RunMove = keyof typeof runMoves;

export function isRunOver(status: RunStatus): boolean {
  return status === "SUCCEEDED" || status === "FAILED" || status === "CANCELED";
}
