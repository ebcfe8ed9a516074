/** Longest delay that a timer takes, in milliseconds; longer ones are waited for in parts. Source: Node's setTimeout. */
const LONGEST_TIMER_MS = 2_147_483_647;

/** Calls back once a while has passed on the monotonic clock without a `restart`. */
export class Window implements Disposable {
  #timer: NodeJS.Timeout | null = null;
  #endsAt = 0;

  constructor(
    private readonly windowMs: number,
    private readonly onPassed: () => void,
  ) {}

  /** Counts from now on. */
  restart(): void {
    this.stop();
    this.#endsAt = performance.now() + this.windowMs;
    this.#wait();
  }

  stop(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }

  [Symbol.dispose](): void {
    this.stop();
  }

  #wait(): void {
    const leftMs = this.#endsAt - performance.now();
    this.#timer = setTimeout(
      () => {
        if (performance.now() < this.#endsAt) this.#wait();
        else this.onPassed();
      },
      Math.min(Math.max(leftMs, 1), LONGEST_TIMER_MS),
    );
  }
}
