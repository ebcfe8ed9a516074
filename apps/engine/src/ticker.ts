import type { Bell } from "@maia/db";
import type { Logger } from "@maia/service";

export interface TickerOptions {
  /** Looks for work and does it. */
  readonly tick: () => Promise<void>;
  /** Renews the lease and looks after the others'. */
  readonly beat: () => Promise<void>;
  readonly bell: Bell;
  readonly renewMs: number;
  /** How long to wait after a tick that failed. */
  readonly retryMs: number;
  readonly logger: Logger;
}

/** Rings for the engine: ticks follow doorbells and due times, one at a time; beats follow a timer of their own. */
export class Ticker {
  #wanted = false;
  #running: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #timerAt = Number.POSITIVE_INFINITY;
  #beating: Promise<void> = Promise.resolve();
  #beatTimer: NodeJS.Timeout | null = null;
  #unlisten: (() => void) | null = null;
  #stopped = false;
  #tickBegan: number | null = null;

  constructor(private readonly options: TickerOptions) {}

  start(): void {
    this.#unlisten = this.options.bell.listen(() => this.wake());
    this.#beatTimer = setInterval(() => {
      this.#beating = this.#beating.then(() => this.#guard("beat", this.options.beat)).then(() => {});
    }, this.options.renewMs);
    this.wake();
  }

  /** How long the tick under way has lasted, in milliseconds; 0 between ticks. */
  get busyMs(): number {
    return this.#tickBegan === null ? 0 : performance.now() - this.#tickBegan;
  }

  /** Asks for a tick soon; asking again before it starts changes nothing. */
  wake(): void {
    if (this.#wanted || this.#stopped) return;
    this.#wanted = true;
    this.#running ??= this.#run();
  }

  /** Asks for a tick in `ms` milliseconds, unless one comes sooner. */
  wakeAt(ms: number): void {
    const at = performance.now() + ms;
    if (at >= this.#timerAt || this.#stopped) return;
    if (this.#timer) clearTimeout(this.#timer);
    this.#timerAt = at;
    this.#timer = setTimeout(
      () => {
        this.#timerAt = Number.POSITIVE_INFINITY;
        this.#timer = null;
        this.wake();
      },
      Math.min(Math.max(ms, 1), 2 ** 31 - 1),
    );
  }

  /** Takes nothing up any more; the lease goes on. */
  async stopTicks(): Promise<void> {
    this.#stopped = true;
    this.#unlisten?.();
    if (this.#timer) clearTimeout(this.#timer);
    await this.#running;
  }

  async stop(): Promise<void> {
    await this.stopTicks();
    if (this.#beatTimer) clearInterval(this.#beatTimer);
    await this.#beating;
  }

  async #run(): Promise<void> {
    while (this.#wanted && !this.#stopped) {
      this.#wanted = false;
      this.#tickBegan = performance.now();
      if (!(await this.#guard("tick", this.options.tick))) this.wakeAt(this.options.retryMs);
      this.#tickBegan = null;
    }
    this.#running = null;
  }

  async #guard(what: string, work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      this.options.logger.error(`a ${what} failed`, { error });
      return false;
    }
  }
}
