import { MINUTE } from "@maia/domain";

interface Window {
  readonly endsAt: number;
  count: number;
}

/** How many counters there may be. Whoever comes from ever new addresses makes us forget the oldest, not run out of memory. */
const COUNTERS_MAX = 10_000;

/** Counts what happens per key and minute, in this process. */
export class RateLimit {
  readonly #windows = new Map<string, Window>();

  constructor(private readonly perMinute: number) {}

  /** Counts one. @returns in how many milliseconds to try again; 0: it is within the limit. */
  take(key: string, now: Date): number {
    const at = now.getTime();
    const open = this.#windows.get(key);
    if (open && open.endsAt > at) {
      open.count += 1;
    } else {
      this.#windows.delete(key);
      if (this.#windows.size >= COUNTERS_MAX) this.#windows.delete(this.#windows.keys().next().value!);
      this.#windows.set(key, { endsAt: at + MINUTE, count: 1 });
    }
    return this.#wait(key, at, this.perMinute);
  }

  /** In how many milliseconds one more would be within the limit; 0: now. */
  wait(key: string, now: Date): number {
    return this.#wait(key, now.getTime(), this.perMinute - 1);
  }

  #wait(key: string, at: number, most: number): number {
    const open = this.#windows.get(key);
    return open && open.endsAt > at && open.count > most ? open.endsAt - at : 0;
  }
}

/** What Retry-After says: whole seconds, at least one. */
export function retryAfter(waitMs: number): { readonly "Retry-After": string } {
  return { "Retry-After": String(Math.max(1, Math.ceil(waitMs / 1_000))) };
}
