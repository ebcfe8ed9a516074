import type { Monotonic } from "./lease.js";

interface Noted {
  readonly until: number;
  /** On the clock that only moves forward. */
  readonly at: number;
}

/**
 * When recorded times come, by a clock that only moves forward: a wait that was seen to begin lasts as long as it should,
 * however the wall clock is set meanwhile (G27). Times belong to somebody, and are forgotten with them.
 */
export class SteadyTimes {
  readonly #byOwner = new Map<string, Map<string, Noted>>();

  constructor(private readonly monotonic: Monotonic) {}

  /** How long a recorded time is ahead, in milliseconds; 0 or less: it has come. @throws on a time that is none. */
  waitMs(owner: string, name: string, until: Date, now: Date): number {
    const time = until.getTime();
    if (Number.isNaN(time)) throw new Error(`${name} waits for a time that is none`);
    const times = this.#timesOf(owner);
    const known = times.get(name);
    const noted = known?.until === time ? known : { until: time, at: this.monotonic() + time - now.getTime() };
    times.set(name, noted);
    return noted.at - this.monotonic();
  }

  forget(owner: string): void {
    this.#byOwner.delete(owner);
  }

  /** Forgets everybody but these. */
  keepOnly(owners: ReadonlySet<string>): void {
    for (const owner of this.#byOwner.keys()) if (!owners.has(owner)) this.#byOwner.delete(owner);
  }

  #timesOf(owner: string): Map<string, Noted> {
    const known = this.#byOwner.get(owner);
    if (known) return known;
    const times = new Map<string, Noted>();
    this.#byOwner.set(owner, times);
    return times;
  }
}
