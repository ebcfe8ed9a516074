import type { FailureCode } from "./errors.js";
import type { Move } from "./machine.js";

export type AttemptStatus = "DISPATCHING" | "RUNNING" | "SUCCEEDED" | "FAILED" | "CANCELED" | "LOST";

export const attemptMoves = {
  started: { from: ["DISPATCHING"], to: "RUNNING" },
  succeed: { from: ["RUNNING"], to: "SUCCEEDED" },
  fail: { from: ["DISPATCHING", "RUNNING"], to: "FAILED" },
  cancel: { from: ["DISPATCHING", "RUNNING"], to: "CANCELED" },
  lose: { from: ["DISPATCHING", "RUNNING"], to: "LOST" },
} as const satisfies Record<string, Move<AttemptStatus>>;

export type AttemptMove = keyof typeof attemptMoves;

export function isAttemptOver(status: AttemptStatus): boolean {
  return status !== "DISPATCHING" && status !== "RUNNING";
}

/** How a process ended, as its exit frame says. */
export type ExitReason = "exited" | "timeout" | "canceled" | "oom" | "spawn_failed" | "lost";

/** What an exit frame tells about the end of an attempt. */
export interface ExitFacts {
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly reason: ExitReason;
  /** What went wrong in words, with a failure code where the executor knows one. */
  readonly error: { readonly code?: string; readonly message: string } | null;
}

/** How an attempt ended: the move to make, and why it was no success. */
export interface AttemptEnd {
  readonly move: Exclude<AttemptMove, "started">;
  readonly failure: { readonly code: FailureCode; readonly message: string } | null;
}

/** Longest message of a failure, in characters. */
const MESSAGE_MAX = 8_192;

/**
 * What an exit means for its attempt. Success needs proof (G8): a process that left with 0 by itself, and an output
 * that was recorded; everything else has a reason.
 */
export function judgeExit(exit: ExitFacts, hasOutput: boolean): AttemptEnd {
  switch (exit.reason) {
    case "lost":
      return {
        move: "lose",
        failure: failed(
          exit.error?.code === "DRAIN_TIMEOUT" ? "DRAIN_TIMEOUT" : "RUNNER_LOST",
          exit.error?.message ?? "The executor was lost while the step ran",
        ),
      };
    case "canceled":
      return { move: "cancel", failure: failed("CANCELED", "The step was stopped") };
    case "timeout":
      return {
        move: "fail",
        failure: failed("STEP_TIMEOUT", exit.error?.message ?? "The step ran longer than its timeoutMs"),
      };
    case "oom":
      return { move: "fail", failure: failed("STEP_OOM", exit.error?.message ?? "The step ran out of memory") };
    case "spawn_failed": {
      const code = exit.error?.code === "DEPS_INSTALL_FAILED" ? "DEPS_INSTALL_FAILED" : "STEP_SPAWN_FAILED";
      return { move: "fail", failure: failed(code, exit.error?.message ?? "The step could not be started") };
    }
    case "exited":
      break;
  }
  if (exit.signal !== null) {
    const what = exit.signal === "SIGXCPU" ? "used more CPU time than its limits.cpuMs" : `was ended by ${exit.signal}`;
    return { move: "fail", failure: failed("STEP_SIGNAL", exit.error?.message ?? `The step ${what}`) };
  }
  if (exit.error?.code === "OUTPUT_INVALID") {
    return { move: "fail", failure: failed("OUTPUT_INVALID", exit.error.message) };
  }
  if (exit.exitCode !== 0) {
    const message = exit.error?.message ?? `The step ended with exit code ${exit.exitCode}`;
    return { move: "fail", failure: failed("STEP_EXIT_CODE", message) };
  }
  if (!hasOutput) return { move: "fail", failure: failed("OUTPUT_INVALID", "The step ended without an output") };
  return { move: "succeed", failure: null };
}

/** The message is text that an executor sent, of which no more is kept than anybody reads. */
function failed(code: FailureCode, message: string) {
  return { code, message: message.slice(0, MESSAGE_MAX).toWellFormed() };
}
