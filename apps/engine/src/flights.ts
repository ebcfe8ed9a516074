import type { AttemptRef, OwnedRun } from "@maia/db";
import type { AttemptEnd } from "@maia/domain";
import { lost } from "@maia/record";
import type { CancelMode, ExecutorError } from "@maia/runner-protocol";
import type { LoadedVersion } from "@maia/tasks";

/** A run in hand: who owns it, and what it is made of. */
export interface InHand {
  readonly run: OwnedRun;
  readonly version: LoadedVersion;
}

/** An attempt in flight: sent, and not yet ended. */
export interface Flight extends InHand {
  readonly ref: AttemptRef;
  /** The last frame that was recorded. */
  lastSeq: number;
  /** So many of the frames are lines of our own, from before the task was sent; the executor counts after them. */
  seqBase: number;
  /** How its end was asked for, if it was. */
  stop: CancelMode | null;
  /** True once the engine itself is stopping: a kill that follows is a loss, not somebody's cancel. */
  draining: boolean;
  /** While the attempt waits for something before it is sent: gives the wait up. */
  leave: (() => void) | null;
  /** True once the attempt is for somebody else to end: what is heard of it from then on follows from our own kill. */
  isLetGo: boolean;
}

/** An attempt of which nothing is recorded yet. */
export function onGround(inHand: InHand, ref: AttemptRef): Flight {
  return { ref, ...inHand, lastSeq: 0, seqBase: 0, stop: null, draining: false, leave: null, isLetGo: false };
}

/**
 * What an executor's refusal means for the attempt that it was asked to carry out; null: ask again later. A runner that
 * cannot be reached has killed what it ran by the time that says so; what it never started can still be sent to it.
 */
export function judgeRefusal(error: ExecutorError, flight: Flight): AttemptEnd | null {
  switch (error.code) {
    case "BUSY":
      return null;
    case "UNREACHABLE":
      return flight.lastSeq > flight.seqBase || flight.stop !== null ? lost(error.message) : null;
    case "ATTEMPT_LOST":
    case "ATTEMPT_UNKNOWN":
    case "LEDGER_CHANGED":
    case "STALE_EPOCH":
      return lost(error.message);
    case "BLOB_MISSING":
    case "ISOLATION_UNAVAILABLE":
    case "REFUSED":
      return { move: "fail", failure: { code: "STEP_SPAWN_FAILED", message: error.message } };
  }
}

export function drained(): AttemptEnd {
  return { move: "lose", failure: { code: "DRAIN_TIMEOUT", message: "Maia was stopped while the step ran" } };
}
