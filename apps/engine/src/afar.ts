import { type AfarState, type AttemptRef, afarStates, type Db, offerAttempt, readRooms, takeBack } from "@maia/db";
import { type AttemptEnd, type Clock, chooseInstance, type InstanceRoom } from "@maia/domain";
import { endUnheard, lost } from "@maia/record";
import type { Logger } from "@maia/service";
import { type Flight, type InHand, onGround } from "./flights.js";
import { drained } from "./judgement.js";
import type { OpenedAttempt } from "./opening.js";
import { LetGo, packagesOf, StoppedBeforeStart } from "./packages.js";
import { PinningError, type Pinnings } from "./pinning.js";
import type { Writes } from "./writes.js";

export interface AfarDeps {
  readonly db: Db;
  readonly writes: Writes;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly pinnings: Pinnings;
  readonly stopped: AbortSignal;
  /** Told that an attempt has ended. */
  readonly ended: () => void;
}

/** An attempt that somebody else carries: bound to an instance that dials the gateway. */
interface Far extends Flight {
  readonly instanceId: string;
}

/**
 * The attempts of our runs that instances elsewhere have in hand. The gateway hands them over and records what comes
 * back; here they are offered, found ended, taken back and given up. It remembers nothing that the database does not know.
 */
export class Afar {
  readonly #attempts = new Map<string, Far>();
  /** Runs with an attempt that was found ended, until somebody has gone on with them. */
  #ended = new Set<string>();

  constructor(private readonly deps: AfarDeps) {}

  get size(): number {
    return this.#attempts.size;
  }

  /** Watches over an attempt, and offers it once its packages are pinned. */
  follow(
    inHand: InHand,
    ref: AttemptRef,
    { instanceId, isOffered }: NonNullable<OpenedAttempt["afar"]>,
    lastSeq = 0,
  ): void {
    const far: Far = { ...onGround(inHand, ref), lastSeq, seqBase: lastSeq, instanceId };
    this.#attempts.set(ref.id, far);
    if (isOffered) return;
    void this.#offer(far).catch((error: unknown) => {
      if (!this.deps.stopped.aborted)
        this.deps.logger.error("an attempt could not be offered", { attemptId: ref.id, error });
    });
  }

  /** Lets go of the attempts of a run that is over, or has another owner. */
  forget(runId: string): void {
    for (const [id, far] of this.#attempts) if (far.run.id === runId) this.#drop(id);
  }

  /** The runs that can go on because an attempt of theirs has ended; each is given once. */
  async takeEnded(): Promise<Set<string>> {
    await this.look();
    const ended = this.#ended;
    this.#ended = new Set();
    return ended;
  }

  /** How the attempts stand that have not ended. */
  async look(): Promise<AfarState[]> {
    const ids = [...this.#attempts.keys()];
    if (ids.length === 0) return [];
    const states = new Map((await afarStates(this.deps.db.sql, ids)).map((state) => [state.id, state]));
    const live: AfarState[] = [];
    for (const id of ids) {
      const far = this.#attempts.get(id);
      const state = states.get(id);
      if (state && (state.status === "DISPATCHING" || state.status === "RUNNING")) live.push(state);
      else if (far) {
        this.#ended.add(far.run.id);
        this.#drop(id);
      }
    }
    return live;
  }

  /** Gives attempts up: those that left Maia are lost, the others taken back, which is nobody's fault. */
  async giveUp(ids: readonly string[], why: string): Promise<void> {
    for (const id of ids) await this.#end(id, (handed) => (handed ? lost(why) : withdrawn(why)));
  }

  /** Takes attempts back that have not left Maia yet. */
  async takeBack(ids: readonly string[], why: string): Promise<void> {
    for (const id of ids) await this.#end(id, (handed) => (handed ? null : withdrawn(why)));
  }

  async #end(id: string, endOf: (handed: boolean) => AttemptEnd | null): Promise<void> {
    const far = this.#attempts.get(id);
    if (!far) return;
    const { writes, clock, ended } = this.deps;
    const now = clock();
    const isOver = await writes.patiently(async (tx) => {
      const end = endOf(!(await takeBack(tx, far.ref)));
      return end !== null && (await endUnheard(tx, far.ref, end, now));
    });
    if (isOver) ended();
  }

  async #offer(far: Far): Promise<void> {
    const { pinnings, writes, clock, ended } = this.deps;
    try {
      await packagesOf(far, {
        pinnings,
        writes,
        clock,
        isOurs: (flight) => this.#attempts.get(flight.ref.id) === flight,
      });
      const isOffered = await writes.patiently((tx) => offerAttempt(tx, far.ref, clock()));
      if (!isOffered) ended();
    } catch (error) {
      if (error instanceof LetGo || error instanceof StoppedBeforeStart) return;
      if (!(error instanceof PinningError)) throw error;
      const now = clock();
      if (await writes.patiently((tx) => endUnheard(tx, far.ref, error.end, now))) ended();
    }
  }

  #drop(id: string): void {
    const far = this.#attempts.get(id);
    this.#attempts.delete(id);
    far?.leave?.();
  }
}

/** The instances of a runner that have room. */
export async function roomyInstances(db: Db, runnerId: string): Promise<InstanceRoom[]> {
  const rooms = await readRooms(db.sql, runnerId);
  return rooms.filter((room) => chooseInstance([room]).instance !== undefined);
}

/** The end of an attempt whose task never left Maia. It counts against no budget. */
function withdrawn(why: string): AttemptEnd {
  return { ...drained(), failure: { code: "DRAIN_TIMEOUT", message: why } };
}
