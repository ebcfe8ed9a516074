import type { ServerResponse } from "node:http";

/** A stream that is being followed. */
export interface OpenStream {
  readonly res: ServerResponse;
  /** Ends the stream; a hint tells its reader to come back soon. */
  end(hint: string): void;
  /** Whether the reader may still follow. */
  isAllowed(): Promise<boolean>;
}

export interface StreamTimes {
  readonly heartbeatMs: number;
  readonly stuckMs: number;
}

/** Every open stream, looked after by one timer: a heartbeat, an end for those that may no longer read, or cannot. */
export class OpenStreams implements Disposable {
  /** When a stream's connection was first seen full, on the monotonic clock. */
  readonly #streams = new Map<OpenStream, number | null>();
  #timer: NodeJS.Timeout | null = null;

  constructor(private readonly times: StreamTimes) {}

  get size(): number {
    return this.#streams.size;
  }

  add(stream: OpenStream): void {
    this.#streams.set(stream, null);
    this.#timer ??= setInterval(() => this.#beat(), this.times.heartbeatMs);
  }

  remove(stream: OpenStream): void {
    this.#streams.delete(stream);
    if (this.#streams.size === 0) this[Symbol.dispose]();
  }

  /** Ends all of them, with a hint to come back in a second. */
  endAll(): void {
    for (const stream of [...this.#streams.keys()]) stream.end("retry: 1000\n: the server is stopping\n\n");
  }

  [Symbol.dispose](): void {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
  }

  #beat(): void {
    const now = performance.now();
    for (const [stream, fullSince] of [...this.#streams]) {
      if (stream.res.writableNeedDrain) this.#full(stream, fullSince ?? now, now);
      else {
        this.#streams.set(stream, null);
        stream.res.write(":\n\n");
      }
      void stream.isAllowed().then(
        (allowed) => allowed || stream.end(""),
        () => {}, // the database is busy: ask again at the next beat
      );
    }
  }

  /** Somebody who does not read is dropped; coming back with the last id costs them nothing. */
  #full(stream: OpenStream, since: number, now: number): void {
    if (now - since > this.times.stuckMs) stream.res.destroy();
    else this.#streams.set(stream, since);
  }
}
