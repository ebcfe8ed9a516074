import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { HttpProblem } from "../http/problems.js";

/** Who came to a transfer: a request whose body has the bytes, an answer that takes them, or why nothing comes of it. */
export type Arrival =
  | { readonly req: IncomingMessage }
  | { readonly res: ServerResponse }
  | { readonly problem: string };

/** Whether the instance brings the bytes, or takes them. */
export type Direction = "bring" | "take";

/**
 * Bytes that one instance of a runner is to bring or to take. They pass through and are kept nowhere; the id is a secret that
 * only that instance is told.
 */
export class Transfer implements Disposable {
  readonly id = `trf_${randomBytes(24).toString("hex")}`;
  readonly #arrival = Promise.withResolvers<Arrival>();
  readonly #end = Promise.withResolvers<void>();
  #isTaken = false;

  constructor(
    readonly instanceId: string,
    readonly direction: Direction,
    private readonly onClose: (id: string) => void,
  ) {
    this.#end.promise.catch(() => {}); // whoever brings the bytes hears of it, if anybody does
  }

  /** Settles when the instance has come. */
  get arrival(): Promise<Arrival> {
    return this.#arrival.promise;
  }

  /** Hands over who came. Settles when all bytes have passed. @throws {HttpProblem} NOT_FOUND when nobody waits. */
  meet(arrival: Arrival): Promise<void> {
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

  open(instanceId: string, direction: Direction): Transfer {
    const transfer = new Transfer(instanceId, direction, (id) => this.#open.delete(id));
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
