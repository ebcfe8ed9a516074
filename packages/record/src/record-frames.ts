import {
  type AttemptRef,
  type AttemptState,
  advanceSeq,
  type FrameFacts,
  insertArtifact,
  type KeptBy,
  readAttemptState,
  startAttempt,
  type Tx,
} from "@maia/db";
import { type LogLine, MaiaError } from "@maia/domain";
import type { ExitFrame, Frame } from "@maia/runner-protocol";

/** Why lines were cut. */
const LIMITED = ": the log of one attempt is limited";

/** A stored log event holds at most this many lines, so that a page of events stays readable. */
const MAX_LINES_PER_EVENT = 2_000;
/** … and at most about this many characters of text. */
const MAX_TEXT_PER_EVENT = 256 * 1024;

/** What of an attempt is kept at most, whatever its executor keeps to. */
export interface RecordLimits {
  /** Size of the log: characters, each line counting one more for its end. */
  readonly logMax: number;
}

/**
 * The limits of an attempt whose executor was told to keep so many bytes of its log. Words of Maia's own come on top of
 * them, and characters that stand for others; twice as many are more than an honest one sends.
 */
export function recordLimits(logAttemptMax: number): RecordLimits {
  return { logMax: 2 * logAttemptMax };
}

const NO_LIMITS: RecordLimits = { logMax: Number.MAX_SAFE_INTEGER };

/** What became of a batch of frames. */
export type Recorded =
  /** Taken; `lastSeq` is the last recorded frame. */
  | { readonly kind: "taken"; readonly lastSeq: number }
  /** Taken, and this was the end: the exit accounts for every frame before it. */
  | { readonly kind: "ended"; readonly lastSeq: number; readonly exit: ExitFrame; readonly hasOutput: boolean }
  /** Frames are missing: ask again from `fromSeq`. What came before the gap is taken. */
  | { readonly kind: "gap"; readonly fromSeq: number }
  /** The attempt is over, or another owner records it. Nothing was written. */
  | { readonly kind: "refused" };

/**
 * Writes a batch of frames of one attempt: events, artifacts, output, and how far it came, in one savepoint. A frame
 * that was recorded before is passed over, so a resumed stream may overlap (G14).
 * @param keptBy the store of a runner that has the bytes of the artifacts; null: Maia has them.
 */
export async function recordFrames(
  tx: Tx,
  attempt: AttemptRef,
  frames: readonly Frame[],
  now: Date,
  limits: RecordLimits = NO_LIMITS,
  keptBy: KeptBy | null = null,
): Promise<Recorded> {
  const state = await readAttemptState(tx, attempt);
  if (!state || (state.status !== "DISPATCHING" && state.status !== "RUNNING")) return { kind: "refused" };

  const batch = new Batch(tx, attempt, state, limits, now, keptBy);
  let outcome: Recorded | null = null;
  for (const frame of frames) {
    if (frame.type === "heartbeat") continue;
    if (frame.type === "exit") {
      const complete = frame.lastSeq === batch.seq;
      outcome = complete
        ? {
            kind: "ended",
            lastSeq: batch.seq,
            exit: frame,
            hasOutput: state.hasOutput || batch.facts.output !== undefined,
          }
        : { kind: "gap", fromSeq: batch.seq + 1 };
      break;
    }
    if (frame.seq <= batch.seq) continue;
    if (frame.seq > batch.seq + 1) {
      outcome = { kind: "gap", fromSeq: batch.seq + 1 };
      break;
    }
    await batch.take(frame);
  }
  await batch.finish(state.lastSeq);
  return outcome ?? { kind: "taken", lastSeq: batch.seq };
}

/** Collects what a batch of frames changes: neighbouring lines become one event, and the row is updated once. */
class Batch {
  readonly facts: { output?: string; truncatedLines: number; truncatedBytes: number; logSize: number } = {
    truncatedLines: 0,
    truncatedBytes: 0,
    logSize: 0,
  };
  #lines: LogLine[] = [];
  #text = 0;
  seq: number;
  /** Room for so much more of a log; negative once something was cut. */
  #room: number;

  constructor(
    private readonly tx: Tx,
    private readonly attempt: AttemptRef,
    state: Pick<AttemptState, "lastSeq" | "logSize">,
    { logMax }: RecordLimits,
    private readonly now: Date,
    private readonly keptBy: KeptBy | null,
  ) {
    this.seq = state.lastSeq;
    this.#room = logMax - state.logSize;
  }

  async take(frame: Exclude<Frame, { type: "heartbeat" | "exit" }>): Promise<void> {
    this.seq = frame.seq;
    switch (frame.type) {
      case "log":
        return this.#keep({ seq: frame.seq, at: frame.at, stream: frame.stream, line: frame.line });
      case "started":
        await startAttempt(
          this.tx,
          this.attempt,
          { isolation: frame.isolation, reused: frame.reused ?? false },
          this.now,
        );
        return;
      case "artifact": {
        await this.#flushLines();
        const { name, mime, sizeBytes, sha256 } = frame;
        const file = { name, mime, sizeBytes, sha256, system: false };
        await insertArtifact(this.tx, this.attempt, file, this.now, this.keptBy);
        return;
      }
      case "truncated":
        this.facts.truncatedLines += frame.lines;
        this.facts.truncatedBytes += frame.bytes;
        return this.#keep(this.#systemLine(`… ${frame.lines} more lines (${frame.bytes} bytes) were cut${LIMITED}`));
      case "output":
        this.facts.output = JSON.stringify(frame.data);
        return;
    }
  }

  /** @throws {MaiaError} STATE_CONFLICT when somebody recorded meanwhile; the write is rolled back. */
  async finish(from: number): Promise<void> {
    await this.#flushLines();
    if (this.seq === from) return;
    const moved = await advanceSeq(this.tx, this.attempt, from, this.seq, this.facts satisfies FrameFacts);
    if (!moved)
      throw new MaiaError("STATE_CONFLICT", `Attempt ${this.attempt.id} was recorded by somebody else meanwhile`);
  }

  /** Keeps a line while there is room. The first that finds none is said to be cut, and from there on they are counted only. */
  async #keep(line: LogLine): Promise<void> {
    const isFull = this.#room < 0;
    const isKept = !isFull && line.line.length < this.#room;
    if (!isKept) {
      this.facts.truncatedLines += 1;
      this.facts.truncatedBytes += Buffer.byteLength(line.line);
      if (isFull) return;
    }
    const kept = isKept ? line : this.#systemLine(`… what follows was cut${LIMITED}`);
    const size = isKept ? line.line.length + 1 : this.#room + 1;
    this.#room -= size;
    this.facts.logSize += size;
    this.#lines.push(kept);
    this.#text += kept.line.length;
    if (this.#lines.length >= MAX_LINES_PER_EVENT || this.#text >= MAX_TEXT_PER_EVENT) await this.#flushLines();
  }

  /** A word of Maia's own in place of the frame at hand. */
  #systemLine(line: string): LogLine {
    return { seq: this.seq, at: this.now.toISOString(), stream: "system", line };
  }

  async #flushLines(): Promise<void> {
    if (this.#lines.length === 0) return;
    const lines = this.#lines;
    this.#lines = [];
    this.#text = 0;
    const { id: attemptId, runId, projectId, stepKey, no: attemptNo } = this.attempt;
    const about = { runId, projectId, attemptId, fromSeq: lines[0]!.seq, toSeq: lines.at(-1)!.seq };
    await this.tx.event("log_line", about, { runId, stepKey, attemptNo, lines });
  }
}
