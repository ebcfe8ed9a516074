import type { Bell } from "./types.js";

/** A bell inside this process. */
export class LocalBell implements Bell {
  readonly #listeners = new Set<() => void>();

  constructor(private readonly onError: (error: unknown) => void) {}

  next(signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const done = () => {
      off();
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const off = this.listen(done);
    signal?.addEventListener("abort", done);
    return promise;
  }

  listen(callback: () => void): () => void {
    const listener = () => callback(); // the same callback may listen twice
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  ring(): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener();
      } catch (error) {
        this.onError(error);
      }
    }
  }
}
