import type { Move } from "./machine.js";

export type JobRunStatus = "QUEUED" | "RUNNING" | "SUCCEEDED" | "FAILED" | "CANCELED";

export const jobRunMoves = {
  claim: { from: ["QUEUED"], to: "RUNNING" },
  refuse: { from: ["QUEUED"], to: "FAILED" },
  cancelQueued: { from: ["QUEUED"], to: "CANCELED" },
  succeed: { from: ["RUNNING"], to: "SUCCEEDED" },
  fail: { from: ["RUNNING"], to: "FAILED" },
  cancel: { from: ["RUNNING"], to: "CANCELED" },
} as const satisfies Record<string, Move<JobRunStatus>>;

export type JobRunMove = keyof typeof jobRunMoves;

/** Why a JobRun exists. */
export type Trigger = "manual" | "schedule" | "batch" | "rerun" | "webhook";
