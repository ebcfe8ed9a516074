import type { ExitFrame, Frame, IsolationLevel, LogFrame } from "@maia/runner-protocol";
import type { FrameRedactor } from "./redact/frames.js";

/** Frames that everybody has seen stay for those who come back, up to so many bytes. */
const KEPT_BYTES = 1024 * 1024;
const KEPT_ENDED_BYTES = 64 * 1024;
const BATCH_BYTES = 64 * 1024;
const FRAME_COST_BYTES = 64;

interface Batch {
  readonly firstSeq: number;
  readonly frames: readonly Frame[];
  readonly cost: number;
  /** What the helper gets back once somebody has taken the batch. */
  readonly credit: number;
}

/** A frame as it is before it is numbered. */
export type Unnumbered<F extends Frame> = F extends { seq: number } ? Omit<F, "seq"> : F;

export interface StreamEvents {
  /** Somebody has taken frames that cost so many bytes of the helper's credit. */
  readonly onTaken: (credit: number) => void;
  readonly onEnd: () => void;
}

/** The frames of one attempt: numbered, kept for followers within bounds, and given out in batches. */
export class AttemptStream {
  private batches: Batch[] = [];
  private keptBytes = 0;
  private lastSeq = 0;
  private takenSeq = 0;
  private exitFrame: ExitFrame | null = null;
  private wake: (() => void)[] = [];

  constructor(
    readonly attemptId: string,
    readonly epoch: number,
    private readonly heartbeatMs: number,
    private readonly events: StreamEvents,
    /** Takes the secrets out of all that is said of the attempt; null: it has none. */
    private readonly redactor: FrameRedactor | null = null,
  ) {}

  get hasEnded(): boolean {
    return this.exitFrame !== null;
  }

  /** What is held in memory for this attempt, in bytes. */
  get heldBytes(): number {
    return this.keptBytes;
  }

  started(pid: number, isolation: IsolationLevel, reused: boolean): void {
    const { attemptId, epoch } = this;
    this.append([{ type: "started", attemptId, epoch, pid, isolation, reused }]);
  }

  log(stream: LogFrame["stream"], at: Date, lines: readonly string[], credit: number): void {
    const written = at.toISOString();
    const frames = lines.map((line) => ({ type: "log", stream, line, at: written }) as const);
    this.append(frames, credit);
  }

  append(frames: readonly Unnumbered<Exclude<Frame, ExitFrame>>[], credit = 0): void {
    if (frames.length === 0 || this.exitFrame) return;
    const firstSeq = this.lastSeq + 1;
    const safe = this.redactor ? frames.map((frame) => this.redactor!.frame(frame)) : frames;
    const numbered = safe.map((frame) => ({ ...frame, seq: ++this.lastSeq }) as Frame);
    const cost = credit + frames.length * FRAME_COST_BYTES;
    this.batches.push({ firstSeq, frames: numbered, cost, credit });
    this.keptBytes += cost;
    this.ring();
  }

  end(exit: Omit<ExitFrame, "type" | "lastSeq">): void {
    if (this.exitFrame) return;
    const error = this.redactor ? this.redactor.error(exit.error) : exit.error;
    this.exitFrame = { type: "exit", lastSeq: this.lastSeq, ...exit, error };
    this.events.onEnd();
    this.ring();
  }

  /** The first frame that can still be had. */
  get firstKeptSeq(): number {
    return this.batches[0]?.firstSeq ?? this.lastSeq + 1;
  }

  /** Gives all frames from `fromSeq` on, as they come, to the exit frame. */
  async *follow(fromSeq: number): AsyncGenerator<readonly Frame[]> {
    for (let next = fromSeq; ; ) {
      const batch = this.read(next);
      if (batch.length > 0) {
        yield batch;
        if (batch.at(-1)!.type === "exit") return;
        next = seqOf(batch.at(-1)!) + 1;
      } else if (!(await this.somethingNew())) yield [{ type: "heartbeat" }];
    }
  }

  /** Everything from a frame on, up to about a batch, with the exit frame when it is the next. */
  private read(fromSeq: number): Frame[] {
    const frames: Frame[] = [];
    let cost = 0;
    let at = this.batches.findIndex((batch) => batch.firstSeq + batch.frames.length > fromSeq);
    for (; at >= 0 && at < this.batches.length && cost < BATCH_BYTES; at++) {
      const batch = this.batches[at]!;
      frames.push(...(batch.firstSeq >= fromSeq ? batch.frames : batch.frames.slice(fromSeq - batch.firstSeq)));
      cost += batch.cost;
    }
    const reached = frames.length > 0 ? seqOf(frames.at(-1)!) : fromSeq - 1;
    if (this.exitFrame && reached >= this.lastSeq) frames.push(this.exitFrame);
    this.taken(reached);
    return frames;
  }

  /** Lets the step print on, and forgets what is too old to be kept. */
  private taken(seq: number): void {
    if (seq <= this.takenSeq) return;
    let credit = 0;
    for (const batch of this.batches) {
      const last = batch.firstSeq + batch.frames.length - 1;
      if (last > this.takenSeq && last <= seq) credit += batch.credit;
    }
    this.takenSeq = seq;
    this.forget(KEPT_BYTES);
    if (credit > 0) this.events.onTaken(credit);
  }

  /** Keeps only the last frames of an attempt that has ended. */
  shrink(): void {
    if (this.exitFrame) this.forget(KEPT_ENDED_BYTES);
  }

  private forget(keptBytes: number): void {
    let drop = 0;
    while (this.keptBytes > keptBytes && drop < this.batches.length - 1) {
      const batch = this.batches[drop]!;
      if (batch.firstSeq + batch.frames.length - 1 > this.takenSeq) break;
      this.keptBytes -= batch.cost;
      drop++;
    }
    if (drop > 0) this.batches.splice(0, drop);
  }

  private ring(): void {
    const waiting = this.wake;
    this.wake = [];
    for (const wake of waiting) wake();
  }

  /** Resolves to false when nothing came for as long as a heartbeat takes. */
  private somethingNew(): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), this.heartbeatMs);
      timer.unref();
      this.wake.push(() => {
        clearTimeout(timer);
        resolve(true);
      });
    });
  }
}

function seqOf(frame: Frame): number {
  return "seq" in frame ? frame.seq : 0;
}
