import {
  type AttemptRef,
  endAttempt,
  insertArtifact,
  type KeptBy,
  measure,
  OUTPUT_ARTIFACT,
  renderOutput,
  type Tx,
} from "@maia/db";
import { type AttemptEnd, type FailureCode, judgeExit } from "@maia/domain";
import type { ExitFrame, Frame } from "@maia/runner-protocol";
import { type RecordLimits, recordFrames } from "./record-frames.js";

/** What a recorded batch means for its attempt. */
export type Landing =
  | { readonly kind: "flying"; readonly lastSeq: number }
  | { readonly kind: "gap"; readonly fromSeq: number }
  | { readonly kind: "landed" }
  | { readonly kind: "refused" };

/** An end that takes the place of what a "canceled" exit would mean: whoever stops the attempt knows the reason better. */
export type Instead = AttemptEnd | null;

/** Records a batch of frames and, when it holds the exit, ends the attempt. One write, inside the caller's. */
export async function landFrames(
  tx: Tx,
  attempt: AttemptRef,
  frames: readonly Frame[],
  instead: Instead,
  now: Date,
  limits?: RecordLimits,
  keptBy: KeptBy | null = null,
): Promise<Landing> {
  const recorded = await recordFrames(tx, attempt, frames, now, limits, keptBy);
  switch (recorded.kind) {
    case "taken":
      return { kind: "flying", lastSeq: recorded.lastSeq };
    case "gap":
      return { kind: "gap", fromSeq: recorded.fromSeq };
    case "refused":
      return { kind: "refused" };
    case "ended":
      await endByExit(tx, attempt, recorded.exit, recorded.hasOutput, instead, now);
      return { kind: "landed" };
  }
}

async function endByExit(
  tx: Tx,
  attempt: AttemptRef,
  exit: ExitFrame,
  hasOutput: boolean,
  instead: Instead,
  now: Date,
): Promise<void> {
  const end = instead && exit.reason === "canceled" ? instead : judgeExit(exit, hasOutput);
  const { exitCode, signal, reason } = exit;
  const facts = { exitCode, signal, reason, failure: withStep(end, attempt) };
  if (await endAttempt(tx, attempt, end.move, facts, now)) {
    if (end.move === "succeed") await keepOutput(tx, attempt, now);
  } else await endUnheard(tx, attempt, lost("The executor reported an end without a start"), now);
}

/** Ends an attempt that no exit frame will end. False: it is over, or somebody else's. */
export function endUnheard(tx: Tx, attempt: AttemptRef, end: AttemptEnd, now: Date): Promise<boolean> {
  return endAttempt(tx, attempt, end.move, { reason: reasonOf(end), failure: withStep(end, attempt) }, now);
}

/** The end of an attempt that has nobody left to report about it. */
export function lost(message: string): AttemptEnd {
  return { move: "lose", failure: { code: "RUNNER_LOST", message } };
}

async function keepOutput(tx: Tx, attempt: AttemptRef, now: Date): Promise<void> {
  const row = await tx.sql.get<{ output: string }>(`SELECT "output" FROM "Attempt" WHERE "id" = ?`, attempt.id);
  const text = renderOutput(row?.output ?? "{}", now.toISOString());
  const file = { name: OUTPUT_ARTIFACT, mime: "application/json", ...measure(text), system: true };
  await insertArtifact(tx, attempt, file, now);
}

/** Failures of an attempt whose task was not sent, or could not be. */
const NEVER_STARTED = new Set<FailureCode | undefined>(["STEP_SPAWN_FAILED", "RUNNER_NOT_ALLOWED"]);

/** How an attempt ended that told nothing of its end itself. */
function reasonOf({ move, failure }: AttemptEnd): ExitFrame["reason"] {
  if (move === "cancel") return "canceled";
  return move === "fail" && NEVER_STARTED.has(failure?.code) ? "spawn_failed" : "lost";
}

function withStep({ failure }: AttemptEnd, { stepKey }: AttemptRef) {
  return failure && { ...failure, stepKey };
}
