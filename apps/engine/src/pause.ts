/** How long to wait before something is tried again: doubling from the first wait to the longest, in milliseconds. */
export class Backoff {
  #next: number;

  constructor(
    private readonly firstMs = 50,
    private readonly mostMs = 2_000,
  ) {
    this.#next = firstMs;
  }

  next(): number {
    const now = this.#next;
    this.#next = Math.min(now * 2, this.mostMs);
    return now;
  }

  reset(): void {
    this.#next = this.firstMs;
  }
}

/** Waits, unless the signal aborts first. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
  });
}
