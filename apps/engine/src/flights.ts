import type { AttemptRef, OwnedRun, Tx } from "@maia/db";
import { endAttempt, insertArtifact, measure, OUTPUT_ARTIFACT, renderOutput, setSeqBase } from "@maia/db";
import { type AttemptEnd, judgeExit } from "@maia/domain";
import { recordFrames } from "@maia/record";
import type { CancelMode, ExecutorError, ExitFrame, Frame } from "@maia/runner-protocol";
import type { LoadedVersion } from "./snapshots.js";

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
}

/** An attempt of which nothing is recorded yet. */
export function onGround(inHand: InHand, ref: AttemptRef): Flight {
  return { ref, ...inHand, lastSeq: 0, seqBase: 0, stop: null, draining: false, leave: null };
}

/** What a recorded batch means for its attempt. */
export type Landing =
  | { readonly kind: "flying"; readonly lastSeq: number }
  | { readonly kind: "gap"; readonly fromSeq: number }
  | { readonly kind: "landed" }
  | { readonly kind: "refused" };

/** Records a batch of frames and, when it holds the exit, ends the attempt. One write, inside the caller's. */
export async function land(tx: Tx, flight: Flight, frames: readonly Frame[], now: Date): Promise<Landing> {
  const recorded = await recordFrames(tx, flight.ref, frames, now);
  switch (recorded.kind) {
    case "taken":
      return { kind: "flying", lastSeq: recorded.lastSeq };
    case "gap":
      return { kind: "gap", fromSeq: recorded.fromSeq };
    case "refused":
      return { kind: "refused" };
    case "ended":
      await endByExit(tx, flight, recorded.exit, recorded.hasOutput, now);
      return { kind: "landed" };
  }
}

async function endByExit(tx: Tx, flight: Flight, exit: ExitFrame, hasOutput: boolean, now: Date): Promise<void> {
  const end = flight.draining && exit.reason === "canceled" ? drained() : judgeExit(exit, hasOutput);
  const { exitCode, signal, reason } = exit;
  const facts = { exitCode, signal, reason, failure: withStep(end, flight) };
  if (await endAttempt(tx, flight.ref, end.move, facts, now)) {
    if (end.move === "succeed") await keepOutput(tx, flight, now);
  } else await loseFlight(tx, flight, lost("The executor reported an end without a start"), now);
}

/** Ends an attempt that no exit frame will end. */
export async function loseFlight(tx: Tx, flight: Flight, end: AttemptEnd, now: Date): Promise<void> {
  await endAttempt(tx, flight.ref, end.move, { reason: reasonOf(end), failure: withStep(end, flight) }, now);
}

async function keepOutput(tx: Tx, { ref }: Flight, now: Date): Promise<void> {
  const row = await tx.sql.get<{ output: string }>(`SELECT "output" FROM "Attempt" WHERE "id" = ?`, ref.id);
  const text = renderOutput(row?.output ?? "{}", now.toISOString());
  await insertArtifact(
    tx,
    ref,
    { name: OUTPUT_ARTIFACT, mime: "application/json", ...measure(text), system: true },
    now,
  );
}

/** How an attempt ended that told nothing of its end itself. */
function reasonOf({ move, failure }: AttemptEnd): ExitFrame["reason"] {
  if (move === "cancel") return "canceled";
  return move === "fail" && failure?.code === "STEP_SPAWN_FAILED" ? "spawn_failed" : "lost";
}

function withStep({ failure }: AttemptEnd, { ref }: Flight) {
  return failure && { ...failure, stepKey: ref.stepKey };
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

/** The end of an attempt that has nobody left to report about it. */
export function lost(message: string): AttemptEnd {
  return { move: "lose", failure: { code: "RUNNER_LOST", message } };
}

/** Writes lines of our own into the log of an attempt that is not sent yet. False: it is not ours any more. */
export async function landOwnLines(tx: Tx, flight: Flight, lines: readonly string[], now: Date): Promise<boolean> {
  const own = { type: "log", stream: "system", at: now.toISOString() } as const;
  const recorded = await recordFrames(
    tx,
    flight.ref,
    lines.map((line, index) => ({ ...own, line, seq: flight.lastSeq + 1 + index })),
    now,
  );
  if (recorded.kind !== "taken") return false;
  await setSeqBase(tx, flight.ref);
  return true;
}

/** The frames of an executor, numbered after our own lines. */
export function after(seqBase: number, frames: readonly Frame[]): readonly Frame[] {
  if (seqBase === 0) return frames;
  return frames.map((frame) => {
    if (frame.type === "heartbeat") return frame;
    if (frame.type === "exit") return { ...frame, lastSeq: frame.lastSeq + seqBase };
    return { ...frame, seq: frame.seq + seqBase };
  });
}

export function drained(): AttemptEnd {
  return { move: "lose", failure: { code: "DRAIN_TIMEOUT", message: "Maia was stopped while the step ran" } };
}
