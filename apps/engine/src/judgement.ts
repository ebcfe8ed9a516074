import { type AttemptEnd, isMaiaError } from "@maia/domain";
import { lost } from "@maia/record";
import { ExecutorError } from "@maia/runner-protocol";
import { TaskError } from "@maia/tasks";
import type { Flight } from "./flights.js";
import { StoppedBeforeStart } from "./packages.js";
import { PinningError } from "./pinning.js";

/**
 * What an error says about the attempt that it was thrown for; null: the executor may be asked again, undefined: nobody
 * has foreseen it. `isLocal`: the executor's processes are the engine's own.
 */
export function judgeError(error: unknown, flight: Flight, isLocal: boolean): AttemptEnd | null | undefined {
  if (flight.draining && (error instanceof StoppedBeforeStart || error instanceof PinningError)) return drained();
  if (error instanceof PinningError) return error.end;
  if (error instanceof StoppedBeforeStart)
    return { move: "cancel", failure: { code: "CANCELED", message: "The step was stopped before it started" } };
  if (error instanceof ExecutorError) return judgeRefusal(error, flight);
  // What a runner has can be asked for again, once there is room for it here.
  if (isMaiaError(error) && error.code === "STORAGE_FULL" && !isLocal) return null;
  if (error instanceof TaskError)
    return { move: "fail", failure: { code: "STEP_SPAWN_FAILED", message: error.message } };
  return undefined;
}

/** The end of an attempt whose processes were ended because the engine itself stops. */
export function drained(): AttemptEnd {
  return { move: "lose", failure: { code: "DRAIN_TIMEOUT", message: "Maia was stopped while the step ran" } };
}

/**
 * What an executor's refusal means for the attempt that it was asked to carry out; null: ask again later. A runner that
 * cannot be reached has killed what it ran by the time that says so; what it never started can still be sent to it.
 */
function judgeRefusal(error: ExecutorError, flight: Flight): AttemptEnd | null {
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
