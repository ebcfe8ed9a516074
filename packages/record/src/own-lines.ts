import { type AttemptRef, setSeqBase, type Tx } from "@maia/db";
import type { Frame } from "@maia/runner-protocol";
import { recordFrames } from "./record-frames.js";

/**
 * Writes lines of Maia's own into the log of an attempt that is not sent yet, after frame `lastSeq`. False: it is not
 * ours any more.
 */
export async function landOwnLines(
  tx: Tx,
  attempt: AttemptRef,
  lastSeq: number,
  lines: readonly string[],
  now: Date,
): Promise<boolean> {
  const own = { type: "log", stream: "system", at: now.toISOString() } as const;
  const frames = lines.map((line, index) => ({ ...own, line, seq: lastSeq + 1 + index }));
  const recorded = await recordFrames(tx, attempt, frames, now);
  if (recorded.kind !== "taken") return false;
  await setSeqBase(tx, attempt);
  return true;
}

/** The frames of an executor, numbered after Maia's own lines. */
export function afterOwnLines(seqBase: number, frames: readonly Frame[]): readonly Frame[] {
  if (seqBase === 0) return frames;
  return frames.map((frame) => {
    if (frame.type === "heartbeat") return frame;
    if (frame.type === "exit") return { ...frame, lastSeq: frame.lastSeq + seqBase };
    return { ...frame, seq: frame.seq + seqBase };
  });
}
