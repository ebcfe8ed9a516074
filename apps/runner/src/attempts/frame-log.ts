import type { Spool } from "./spool.js";

/** A spool that grows while others read it: whoever has read everything waits for more, until the end. */
export class FrameLog {
  #isOver = false;
  #readers = 0;
  #bell = Promise.withResolvers<void>();

  constructor(private readonly spool: Spool) {}

  async append(text: string, lines: number): Promise<void> {
    await this.spool.append(text, lines);
    this.wake();
  }

  /** Says that nothing will be appended any more. The file is closed with its last reader. */
  async end(): Promise<void> {
    this.#isOver = true;
    this.wake();
    if (this.#readers === 0) await this.spool.close();
  }

  /** Has every reader look again, at what there is and at its signal. */
  wake(): void {
    const { resolve } = this.#bell;
    this.#bell = Promise.withResolvers<void>();
    resolve();
  }

  /**
   * Lines from frame `seq` on, up to the end; who waited for more of them waits `lingerMs` longer for what comes right after.
   * Null: that frame is beyond the next one. The caller iterates what it gets.
   */
  async readFrom(seq: number, signal: AbortSignal, lingerMs = 0): Promise<AsyncGenerator<Uint8Array> | null> {
    this.#readers++;
    const offset = await this.spool.offsetOf(seq);
    if (offset !== null) return this.#read(offset, signal, lingerMs);
    await this.#release();
    return null;
  }

  async *#read(from: number, signal: AbortSignal, lingerMs: number): AsyncGenerator<Uint8Array> {
    const wake = () => this.wake();
    signal.addEventListener("abort", wake);
    try {
      for (let offset = from; !signal.aborted; ) {
        const rung = this.#bell.promise; // listen, and ask for the end, before reading: what comes in between is read next time
        const isOver = this.#isOver;
        const bytes = await this.spool.read(offset);
        offset += bytes.length;
        if (bytes.length > 0) yield bytes;
        else if (isOver) return;
        else {
          await rung;
          await this.#linger(lingerMs, signal);
        }
      }
    } finally {
      signal.removeEventListener("abort", wake);
      await this.#release();
    }
  }

  /** Waits so long, or until the end. */
  async #linger(ms: number, signal: AbortSignal): Promise<void> {
    let isEnough = ms === 0;
    const timer = setTimeout(() => {
      isEnough = true;
      this.wake();
    }, ms);
    while (!isEnough && !this.#isOver && !signal.aborted) await this.#bell.promise;
    clearTimeout(timer);
  }

  async #release(): Promise<void> {
    this.#readers--;
    if (this.#isOver && this.#readers === 0) await this.spool.close();
  }
}
