/** What was heard of somebody, as a counter that grows. */
export interface Heard {
  readonly id: string;
  readonly heartbeatSeq: number;
}

interface Listened {
  seq: number;
  silentMs: number;
}

/**
 * How long instances have been silent, on our own monotonic clock. Time counts only while we looked on, and while the
 * gateway was up through which we would have heard them.
 */
export class Silence {
  readonly #listened = new Map<string, Listened>();
  #lastLook: number | null = null;
  #gateway: Listened = { seq: -1, silentMs: 0 };

  /** `stallMs`: a longer time between two looks was a stop of our own. `gatewayMs`: a gateway that beats no more by then is gone. */
  constructor(
    private readonly stallMs: number,
    private readonly gatewayMs: number,
  ) {}

  /** @returns how long each has been silent, in milliseconds */
  look(instances: readonly Heard[], gatewayBeats: number, now: number): Map<string, number> {
    const passed = this.#lastLook === null ? 0 : now - this.#lastLook;
    this.#lastLook = now;
    const watched = passed > this.stallMs ? 0 : passed;
    listen(this.#gateway, gatewayBeats, watched);
    const counted = this.#gateway.silentMs >= this.gatewayMs ? 0 : watched;
    const silence = new Map<string, number>();
    for (const { id, heartbeatSeq } of instances) {
      const listened = this.#listened.get(id) ?? { seq: heartbeatSeq, silentMs: 0 };
      listen(listened, heartbeatSeq, counted);
      this.#listened.set(id, listened);
      silence.set(id, listened.silentMs);
    }
    for (const id of this.#listened.keys()) if (!silence.has(id)) this.#listened.delete(id);
    return silence;
  }
}

function listen(listened: Listened, seq: number, passedMs: number): void {
  listened.silentMs = seq === listened.seq ? listened.silentMs + passedMs : 0;
  listened.seq = seq;
}
