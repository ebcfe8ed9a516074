import type { Monotonic } from "./lease.js";

/**
 * When retries are due, by a clock that only moves forward: a back-off that began here lasts as long as it should, however
 * the wall clock is set meanwhile (G27). What another engine planned is known by the wall clock alone.
 */
export class Retries {
  readonly #due = new Map<string, { readonly until: number; readonly at: number }>();

  constructor(private readonly monotonic: Monotonic) {}

  /** Notes a retry that was planned at `now` for `until`. */
  plan(runId: string, stepKey: string, until: Date, now: Date): void {
    const waitMs = until.getTime() - now.getTime();
    this.#due.set(key(runId, stepKey), { until: until.getTime(), at: this.monotonic() + waitMs });
  }

  /** How long a recorded retry has to wait still, in milliseconds; 0 or less: it is due. @throws on a time that is none. */
  waitMs(runId: string, stepKey: string, until: Date, now: Date): number {
    const time = until.getTime();
    if (Number.isNaN(time)) throw new Error(`step ${stepKey} waits for a time that is none`);
    const planned = this.#due.get(key(runId, stepKey));
    return planned?.until === time ? planned.at - this.monotonic() : time - now.getTime();
  }

  /** Forgets a retry that has begun or will not. */
  forget(runId: string, stepKey: string): void {
    this.#due.delete(key(runId, stepKey));
  }
}

function key(runId: string, stepKey: string): string {
  return `${runId}/${stepKey}`;
}
