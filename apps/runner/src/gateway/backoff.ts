import { setTimeout as delay } from "node:timers/promises";

/** Waits that double up to a limit, each somewhere in its upper half, so that many who failed at once do not return at once. */
export class Backoff {
  #tries = 0;

  constructor(
    private readonly firstMs: number,
    private readonly mostMs: number,
    private readonly random: () => number = Math.random,
  ) {}

  /** How often something has failed since the last success. */
  get tries(): number {
    return this.#tries;
  }

  /** How long to wait this time, in milliseconds. */
  next(): number {
    const wholeMs = Math.min(this.firstMs * 2 ** Math.min(this.#tries++, 30), this.mostMs);
    return wholeMs * (0.5 + this.random() / 2);
  }

  reset(): void {
    this.#tries = 0;
  }
}

/** Waits, or returns at once when the signal is aborted. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await delay(ms, undefined, { signal }).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}
