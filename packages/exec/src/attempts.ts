import type { CancelMode } from "@maia/runner-protocol";
import type { AttemptStream } from "./attempt-stream.js";

const MOST_ENDED = 1_000;
const MOST_ENDED_BYTES = 16 * 1024 * 1024;
const MOST_REMEMBERED = 100_000;

/** What carries an attempt out. */
export interface AttemptRun {
  readonly cancel: (mode: CancelMode) => void;
  readonly credit: (bytes: number) => void;
}

export interface Attempt {
  readonly stream: AttemptStream;
  run: AttemptRun | null;
  /** Called once, when the attempt has ended. */
  onOver?: () => void;
}

/** The attempts that this executor has started: the live ones, the last that ended, and the names of those before. */
export class Attempts {
  private readonly known = new Map<string, Attempt>();
  private readonly ended: { id: string; bytes: number }[] = [];
  private readonly forgotten = new Set<string>();
  private endedBytes = 0;

  get(attemptId: string): Attempt | null {
    return this.known.get(attemptId) ?? null;
  }

  /** True for an attempt that was started here, but so long ago that its frames are gone. */
  isForgotten(attemptId: string): boolean {
    return this.forgotten.has(attemptId);
  }

  add(attemptId: string, attempt: Attempt): void {
    this.known.set(attemptId, attempt);
  }

  get live(): Attempt[] {
    return [...this.known.values()].filter(({ stream }) => !stream.hasEnded);
  }

  /** An attempt has ended: its last frames are kept for a while. */
  end(attemptId: string): void {
    const attempt = this.known.get(attemptId);
    if (!attempt) return;
    attempt.run = null;
    attempt.onOver?.();
    const bytes = attempt.stream.heldBytes;
    this.ended.push({ id: attemptId, bytes });
    this.endedBytes += bytes;
    while (this.ended.length > MOST_ENDED || this.endedBytes > MOST_ENDED_BYTES) this.forgetOldest();
  }

  private forgetOldest(): void {
    const oldest = this.ended.shift();
    if (!oldest) return;
    this.endedBytes -= oldest.bytes;
    this.known.delete(oldest.id);
    this.forgotten.add(oldest.id);
    if (this.forgotten.size > MOST_REMEMBERED) this.forgotten.delete(this.forgotten.values().next().value!);
  }
}
