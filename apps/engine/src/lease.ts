import { beatEngine, type Db, endEngine, forgetEngines, liveEngines, registerEngine } from "@maia/db";
import { type Clock, DAY, newId } from "@maia/domain";

/** Reads a clock that only moves forward, in milliseconds. */
export type Monotonic = () => number;

interface Seen {
  readonly heartbeatSeq: number;
  /** When the counter was last seen to move, on our own monotonic clock. */
  readonly at: number;
}

/**
 * One engine's lease, and its view of the others'. An engine is dead when its process's doorbell refuses us, or when its
 * counter stood still for a whole TTL of our own clock while we ourselves were up; never because of an age in a row.
 */
export class Lease {
  #id = "";
  readonly #seen = new Map<string, Seen>();
  #lastLook: number | null = null;

  constructor(
    private readonly db: Db,
    private readonly clock: Clock,
    private readonly monotonic: Monotonic,
    private readonly ttlMs: number,
  ) {}

  get engineId(): string {
    return this.#id;
  }

  /** Becomes an engine, under a new id. */
  async begin(): Promise<void> {
    const id = newId("engine", this.clock());
    await this.db.write((tx) => registerEngine(tx, id, this.db.bells.id, this.clock()));
    this.#id = id;
  }

  /** Keeps the lease. False: it was taken from us, and so were our runs. */
  async renew(): Promise<boolean> {
    return this.db.write((tx) => beatEngine(tx, this.#id));
  }

  /** Ends the lease, so that nobody has to wait for it to run out. */
  async end(): Promise<void> {
    await this.db.write((tx) => endEngine(tx, this.#id, null, this.clock()));
  }

  /** Looks at the other engines and ends the leases of dead ones. @returns how many. */
  async endDeadOnes(): Promise<number> {
    const now = this.monotonic();
    // After a stop of our own (SIGSTOP, a suspended machine) the others' silence proves nothing: start to watch anew.
    if (this.#lastLook !== null && now - this.#lastLook > this.ttlMs) this.#seen.clear();
    this.#lastLook = now;
    const others = (await liveEngines(this.db)).filter((engine) => engine.id !== this.#id);
    let ended = 0;
    for (const { id, bellId, heartbeatSeq } of others) {
      const seen = this.#seen.get(id);
      if (!seen || seen.heartbeatSeq !== heartbeatSeq) this.#seen.set(id, { heartbeatSeq, at: now });
      const silentMs = seen && seen.heartbeatSeq === heartbeatSeq ? now - seen.at : 0;
      const dead = silentMs >= this.ttlMs || (await this.db.bells.probe(bellId)) === "dead";
      if (dead && (await this.db.write((tx) => endEngine(tx, id, heartbeatSeq, this.clock())))) ended += 1;
    }
    for (const id of this.#seen.keys()) if (!others.some((engine) => engine.id === id)) this.#seen.delete(id);
    return ended;
  }

  /** Forgets engines that ended long ago. */
  async tidy(): Promise<void> {
    await this.db.write((tx) => forgetEngines(tx, new Date(this.clock().getTime() - DAY)));
  }
}
