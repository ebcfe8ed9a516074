import { randomBytes } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { HttpProblem } from "../http/problems.js";

/** What came to a transfer: a request whose body has the bytes, or why they cannot be had. */
export type Arrival = { readonly req: IncomingMessage } | { readonly problem: string };

/**
 * Bytes that somebody waits for, and that one instance of a runner is to bring. It passes them on and keeps nothing; its id is
 * a secret that only that instance is told.
 */
export class Transfer implements Disposable {
  readonly id = `trf_${randomBytes(24).toString("hex")}`;
  readonly #arrival = Promise.withResolvers<Arrival>();
  readonly #end = Promise.withResolvers<void>();
  #isTaken = false;

  constructor(
    readonly instanceId: string,
    private readonly onClose: (id: string) => void,
  ) {
    this.#end.promise.catch(() => {}); // whoever brings the bytes hears of it, if anybody does
  }

  /** Settles when the instance has come. */
  get arrival(): Promise<Arrival> {
    return this.#arrival.promise;
  }

  /** Hands over what came. Settles when whoever waits has all of it. @throws {HttpProblem} NOT_FOUND when nobody waits. */
  take(arrival: Arrival): Promise<void> {
    if (this.#isTaken) throw nobodyWaits();
    this.#isTaken = true;
    this.#arrival.resolve(arrival);
    return "problem" in arrival ? Promise.resolve() : this.#end.promise;
  }

  /** Says that all has been passed on. */
  succeed(): void {
    this.#end.resolve();
  }

  /** Nobody waits any more: who brings the bytes may stop. */
  [Symbol.dispose](): void {
    this.#isTaken = true;
    this.onClose(this.id);
    this.#end.reject(nobodyWaits());
  }
}

/** The transfers that are open in this process, by their ids. */
export class Transfers {
  readonly #open = new Map<string, Transfer>();

  open(instanceId: string): Transfer {
    const transfer = new Transfer(instanceId, (id) => this.#open.delete(id));
    this.#open.set(transfer.id, transfer);
    return transfer;
  }

  find(id: string): Transfer | undefined {
    return this.#open.get(id);
  }

  get size(): number {
    return this.#open.size;
  }
}

export function nobodyWaits(): HttpProblem {
  return new HttpProblem("NOT_FOUND", "Nobody waits for these bytes (any more)");
}
