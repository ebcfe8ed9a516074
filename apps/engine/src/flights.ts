import type { AttemptRef, OwnedRun } from "@maia/db";
import type { CancelMode } from "@maia/runner-protocol";
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
