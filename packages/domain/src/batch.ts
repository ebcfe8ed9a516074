import type { Move } from "./machine.js";

export type BatchStatus = "RUNNING" | "PAUSED" | "SUCCEEDED" | "FAILED" | "CANCELED";

export const batchMoves = {
  pause: { from: ["RUNNING"], to: "PAUSED" },
  resume: { from: ["PAUSED"], to: "RUNNING" },
  succeed: { from: ["RUNNING", "PAUSED"], to: "SUCCEEDED" },
  fail: { from: ["RUNNING", "PAUSED"], to: "FAILED" },
  cancel: { from: ["RUNNING", "PAUSED"], to: "CANCELED" },
} as const satisfies Record<string, Move<BatchStatus>>;

export type BatchMove = keyof typeof batchMoves;
