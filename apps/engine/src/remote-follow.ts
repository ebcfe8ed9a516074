import { ExecutorError, type Frame, FrameSequence, ProtocolError } from "@maia/runner-protocol";
import type { FrameStream } from "@maia/runner-protocol/client";
import { Backoff, pause } from "./pause.js";

export interface Following {
  readonly attemptId: string;
  readonly fromSeq: number;
  /** How long contact may be lost before it is given up. In milliseconds. */
  readonly silenceMs: number;
  readonly signal: AbortSignal;
  /** Opens a stream from a frame on. @throws {ExecutorError} */
  readonly open: (fromSeq: number) => Promise<FrameStream>;
  /** Makes the frames of a batch true here before they are passed on. */
  readonly prepare: (frames: readonly Frame[]) => Promise<void>;
  readonly log: (message: string, fields: object) => void;
}

/** A connection that breaks once is mostly there again at once. In milliseconds. */
const FIRST_WAIT_MS = 5;
/** So many streams in a row that break the protocol without bringing a frame are no accident. */
const MOST_FAULTS = 5;

/**
 * The frames of an attempt, each once and in order, over as many streams as it takes. It returns after the exit.
 * @throws {ExecutorError} UNREACHABLE when no contact could be had for `silenceMs`, ATTEMPT_LOST when what comes cannot
 * be understood, or what the runner answers.
 */
export async function* followFrames(following: Following): AsyncGenerator<readonly Frame[]> {
  const { attemptId, signal, open, prepare, log } = following;
  const sequence = new FrameSequence(attemptId, following.fromSeq);
  const backoff = new Backoff(FIRST_WAIT_MS);
  let faults = 0;
  let silentSince: number | null = null;
  while (!signal.aborted) {
    try {
      const stream = await open(sequence.nextSeq);
      silentSince = null; // it answers, so it is there
      for await (const batch of stream) {
        const { frames, state } = sequence.take(batch);
        if (frames.length > 0) {
          await prepare(frames);
          yield frames;
          faults = 0;
          backoff.reset();
        }
        if (state === "ended") return;
        if (state === "gap") throw new ProtocolError("bad_sequence", `frame ${sequence.nextSeq} is missing`);
      }
    } catch (error) {
      const judged = judge(error);
      if (judged === "fault" && ++faults >= MOST_FAULTS) {
        throw new ExecutorError(
          "ATTEMPT_LOST",
          `The runner's frames cannot be understood: ${(error as Error).message}`,
          { cause: error },
        );
      }
      if (judged === "final") throw error;
      const facts = { attemptId, nextSeq: sequence.nextSeq, error: (error as Error).message };
      if (silentSince === null) log("contact with the runner broke off; trying again", facts);
    }
    silentSince ??= performance.now();
    if (performance.now() - silentSince >= following.silenceMs) break;
    await pause(backoff.next(), signal);
  }
  throw new ExecutorError(
    "UNREACHABLE",
    `The runner could not be reached about attempt ${attemptId} for ${following.silenceMs} ms`,
  );
}

/** "broken": a stream ends like this on a bad network. "fault": what came is wrong. "final": asking again helps nothing. */
function judge(error: unknown): "broken" | "fault" | "final" {
  if (error instanceof ProtocolError) return error.code === "cut_off" ? "broken" : "fault";
  return error instanceof ExecutorError && error.code === "UNREACHABLE" ? "broken" : "final";
}
