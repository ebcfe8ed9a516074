import {
  type AttemptRef,
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

/** A stored log event holds at most this many lines, so that a page of events stays readable. */
const MAX_LINES_PER_EVENT = 2_000;
/** … and at most about this many characters of text. */
const MAX_TEXT_PER_EVENT = 256 * 1024;

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
  keptBy: KeptBy | null = null,
): Promise<Recorded> {
  const state = await readAttemptState(tx, attempt);
  if (!state || (state.status !== "DISPATCHING" && state.status !== "RUNNING")) return { kind: "refused" };

  const batch = new Batch(tx, attempt, state.lastSeq, now, keptBy);
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
  readonly facts: { output?: string; truncatedLines: number; truncatedBytes: number } = {
    truncatedLines: 0,
    truncatedBytes: 0,
  };
  #lines: LogLine[] = [];
  #text = 0;

  constructor(
    private readonly tx: Tx,
    private readonly attempt: AttemptRef,
    public seq: number,
    private readonly now: Date,
    private readonly keptBy: KeptBy | null,
  ) {}

  async take(frame: Exclude<Frame, { type: "heartbeat" | "exit" }>): Promise<void> {
    this.seq = frame.seq;
    switch (frame.type) {
      case "log":
        this.#lines.push({ seq: frame.seq, at: frame.at, stream: frame.stream, line: frame.line });
        this.#text += frame.line.length;
        if (this.#lines.length >= MAX_LINES_PER_EVENT || this.#text >= MAX_TEXT_PER_EVENT) await this.#flushLines();
        return;
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
        this.#lines.push({
          seq: frame.seq,
          at: this.now.toISOString(),
          stream: "system",
          line: `… ${frame.lines} more lines (${frame.bytes} bytes) were cut: the log of one attempt is limited`,
        });
        return;
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
