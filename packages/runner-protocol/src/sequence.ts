import type { Frame } from "./frames.js";
import { ProtocolError } from "./protocol-error.js";

/** What a batch brought: the frames that are new and in order, and whether it goes on. */
export interface Sequenced {
  readonly frames: readonly Frame[];
  /** "gap": frames are missing after these, so ask again from `nextSeq`. "ended": the last of these is the exit. */
  readonly state: "open" | "gap" | "ended";
}

/**
 * Puts the frames of one attempt into their one order, across streams that were cut and overlap: heartbeats and repeats
 * are passed over, a hole is noticed, and nothing counts after the exit.
 */
export class FrameSequence {
  #nextSeq: number;
  #ended = false;

  constructor(
    private readonly attemptId: string,
    nextSeq = 1,
  ) {
    this.#nextSeq = nextSeq;
  }

  /** The frame to ask for next. */
  get nextSeq(): number {
    return this.#nextSeq;
  }

  /** @throws {ProtocolError} bad_sequence on frames of another attempt, or an exit that knows of fewer frames than came. */
  take(batch: readonly Frame[]): Sequenced {
    const frames: Frame[] = [];
    for (const frame of batch) {
      if (this.#ended) break;
      if (frame.type === "heartbeat") continue;
      if (frame.type === "exit") {
        if (frame.lastSeq >= this.#nextSeq) return { frames, state: "gap" };
        if (frame.lastSeq < this.#nextSeq - 1)
          throw contradiction(`its exit knows ${frame.lastSeq} frames, but ${this.#nextSeq - 1} came`);
        this.#ended = true;
      } else {
        if (frame.type === "started" && frame.attemptId !== this.attemptId)
          throw contradiction(`it belongs to ${frame.attemptId}`);
        if (frame.seq < this.#nextSeq) continue;
        if (frame.seq > this.#nextSeq) return { frames, state: "gap" };
        this.#nextSeq++;
      }
      frames.push(frame);
    }
    return { frames, state: this.#ended ? "ended" : "open" };
  }
}

function contradiction(problem: string): ProtocolError {
  return new ProtocolError("bad_sequence", `the stream contradicts itself: ${problem}`);
}
