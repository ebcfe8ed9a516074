import { createReadStream } from "node:fs";
import { decodeFrameBatches, encodeFrames, type Frame, FrameSequence } from "@maia/runner-protocol";
import { lostExit } from "./attempt.js";

/**
 * The whole frames that a crash has left of an attempt, from `fromSeq` on, and then an exit that says that it was lost.
 * Where more has been delivered than the disk has kept, only the exit is left to say.
 */
export async function* remainsOf(path: string, attemptId: string, fromSeq: number): AsyncGenerator<Uint8Array> {
  const sequence = new FrameSequence(attemptId);
  try {
    for await (const batch of decodeFrameBatches(createReadStream(path))) {
      const { frames, state } = sequence.take(batch);
      const wanted = frames.filter((frame) => isAtOrAfter(frame, fromSeq));
      if (wanted.length > 0) yield Buffer.from(encodeFrames(wanted));
      if (state !== "open") break;
    }
  } catch {
    // no file, or the crash has cut its last line; what was whole is delivered
  }
  yield Buffer.from(encodeFrames([lostExit(Math.max(sequence.nextSeq, fromSeq) - 1, null)]));
}

function isAtOrAfter(frame: Frame, fromSeq: number): boolean {
  return "seq" in frame && frame.seq >= fromSeq;
}
