import { type Db, glanceAtInstances, type InstanceGlance, type InstanceRef } from "@maia/db";
import type { Logger } from "@maia/service";
import { HttpProblem } from "../http/problems.js";
import { Seat, type SeatEnd } from "./seat.js";

/** So many polls of one instance may be in hand at once; each but the last is about to be answered. */
const POLLS_PER_INSTANCE = 8;
/** How many instances one look asks about. */
const LOOK = 512;

/**
 * Where polls wait. While any does, each ring of the engine's bell is one look by index at all of them, and rings those
 * for which there is something.
 */
export class Switchboard implements Disposable {
  readonly #seats = new Map<string, Seat>();
  /** How many polls of each instance are being answered. */
  readonly #inHand = new Map<string, number>();
  #unlisten: (() => void) | null = null;
  #looking = false;
  #rungAgain = false;
  #closed = false;

  constructor(
    private readonly db: Db,
    private readonly logger: Logger,
  ) {}

  get size(): number {
    return this.#seats.size;
  }

  /** Takes a seat for a poll; the one before it of the same instance is answered. @throws {HttpProblem} RATE_LIMITED, STOPPING */
  sit(instance: Pick<InstanceRef, "id" | "generation">): Seat {
    if (this.#closed) throw new HttpProblem("STOPPING", "This server stops; poll again");
    const inHand = this.#inHand.get(instance.id) ?? 0;
    if (inHand >= POLLS_PER_INSTANCE)
      throw new HttpProblem("RATE_LIMITED", "An instance polls once at a time", { "Retry-After": "1" });
    this.#inHand.set(instance.id, inHand + 1);
    this.#seats.get(instance.id)?.finish("replaced");
    const seat = new Seat(instance);
    this.#seats.set(instance.id, seat);
    this.#unlisten ??= this.db.bell("engine").listen(() => void this.#look());
    return seat;
  }

  /** Gives a seat back once its poll is answered. */
  leave(seat: Seat): void {
    const { id } = seat.instance;
    const left = (this.#inHand.get(id) ?? 1) - 1;
    if (left > 0) this.#inHand.set(id, left);
    else this.#inHand.delete(id);
    if (this.#seats.get(id) === seat) this.#seats.delete(id);
    if (this.#seats.size === 0) this.#deafen();
  }

  /** Ends every wait; nobody sits down any more. */
  close(): void {
    this.#closed = true;
    for (const seat of this.#seats.values()) seat.finish("stopping");
  }

  [Symbol.dispose](): void {
    this.close();
    this.#deafen();
  }

  #deafen(): void {
    this.#unlisten?.();
    this.#unlisten = null;
  }

  /** One look at a time; a ring during it makes another one follow. */
  async #look(): Promise<void> {
    this.#rungAgain = true;
    if (this.#looking) return;
    this.#looking = true;
    try {
      while (this.#rungAgain && this.#seats.size > 0) {
        this.#rungAgain = false;
        const ids = [...this.#seats.keys()];
        for (let from = 0; from < ids.length; from += LOOK) await this.#lookAt(ids.slice(from, from + LOOK));
      }
    } catch (error) {
      this.logger.error("what there is for runners could not be read", { error }); // their next polls look again
    } finally {
      this.#looking = false;
    }
  }

  async #lookAt(ids: readonly string[]): Promise<void> {
    const before = ids.map((id) => this.#seats.get(id));
    const glances = new Map((await glanceAtInstances(this.db.sql, ids)).map((glance) => [glance.id, glance]));
    for (const seat of before) {
      if (!seat) continue;
      if (seat.secretVersion === null) {
        seat.ring(); // its own first look is under way and may have missed this
        continue;
      }
      const glance = glances.get(seat.instance.id);
      const end = endOf(seat, glance);
      if (end) seat.finish(end);
      else if (glance?.hasOrders || (glance?.hasOffers && seat.hasRoom)) seat.ring();
    }
  }
}

function endOf(seat: Seat, glance: InstanceGlance | undefined): SeatEnd | null {
  if (!glance || glance.stoppedAt !== null) return "left";
  if (glance.secretVersion !== seat.secretVersion) return "refused";
  return glance.generation === seat.instance.generation ? null : "superseded";
}
