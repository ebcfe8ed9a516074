import { type Db, type OwnedRun, quarantineRun } from "@maia/db";
import type { Clock } from "@maia/domain";
import type { Logger } from "@maia/service";
import type { Snapshots } from "@maia/tasks";
import { type Advanced, type Advancer, advanceRun } from "./advance.js";
import type { Afar } from "./afar.js";
import type { Carrier } from "./carrier.js";
import type { Claimed } from "./claim.js";
import type { DueRuns } from "./due-runs.js";
import type { Fetches } from "./fetches.js";
import type { InHand } from "./flights.js";
import { versionOf } from "./fork.js";
import type { OpenedAttempt } from "./opening.js";
import { recoverRun } from "./recover.js";
import type { RunnerQueues } from "./runner-queues.js";
import type { Slots } from "./slots.js";
import type { SteadyTimes } from "./steady-times.js";
import type { Ticker } from "./ticker.js";
import type { Writes } from "./writes.js";

export interface RunsInHandDeps {
  readonly db: Db;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly stopped: AbortSignal;
  readonly writes: Writes;
  readonly slots: Slots;
  readonly snapshots: Snapshots;
  readonly ticker: Ticker;
  readonly carrier: Carrier;
  readonly afar: Afar;
  readonly fetches: Fetches;
  readonly runnerQueues: RunnerQueues;
  readonly due: DueRuns;
  readonly times: SteadyTimes;
  readonly advancer: () => Advancer;
}

/** How often an executor that has not been reached is looked at again, in milliseconds. */
const UNREACHED_MS = 1_000;

/** The runs that an engine carries: it goes on with them, does what their writes ask for, and lets go of them. */
export class RunsInHand {
  readonly #runs = new Map<string, InHand>();
  /** Runs with ready steps and no slot for them, in the order in which they asked. */
  readonly #hungry = new Set<string>();

  constructor(private readonly deps: RunsInHandDeps) {}

  get size(): number {
    return this.#runs.size;
  }

  all(): Iterable<InHand> {
    return this.#runs.values();
  }

  /** How many of them are for a runner; null: for none. */
  countFor(runnerId: string | null): number {
    let count = 0;
    for (const { run } of this.#runs.values()) if (run.runnerId === runnerId) count += 1;
    return count;
  }

  /** The runs with steps that could start now, since there is a slot for one of them. */
  hungry(): Iterable<string> {
    if (this.#canOpen()) return this.deps.slots.free > 0 ? this.#hungry : [];
    this.#waitForExecutor();
    return [];
  }

  /** Takes a run in hand that was just claimed. */
  begin({ run, version, advanced }: Claimed): void {
    this.#runs.set(run.id, { run, version });
    this.#follow({ run, version }, advanced);
  }

  /** Takes a run in hand that another engine had begun. */
  async recover(run: OwnedRun): Promise<void> {
    const { db, snapshots, slots, carrier, afar, ticker } = this.deps;
    try {
      const inHand = { run, version: await versionOf(db.sql, snapshots, run) };
      this.#runs.set(run.id, inHand);
      await recoverRun(db, { carrier, afar }, slots, inHand);
      await this.advance(run.id);
      ticker.wake();
    } catch (error) {
      await this.quarantine(run, error);
    }
  }

  /** Goes on with runs; one that cannot go on is set aside, so that it holds up no other (G12). */
  async advanceAll(runIds: Iterable<string>): Promise<void> {
    const each = [...runIds].map(async (runId) => {
      const inHand = this.#runs.get(runId);
      try {
        await this.advance(runId);
      } catch (error) {
        if (inHand) await this.quarantine(inHand.run, error);
      }
    });
    await Promise.all(each);
  }

  async advance(runId: string): Promise<void> {
    const inHand = this.#runs.get(runId);
    if (!inHand) return;
    this.#hungry.delete(runId);
    const { writes, advancer, clock } = this.deps;
    const now = clock();
    const advanced = await writes.withSlots((tx, hold) =>
      advanceRun(tx, inHand.run, inHand.version, advancer(), hold, now),
    );
    this.#follow(inHand, advanced);
  }

  /** Follows a write that ended an attempt, whose slot is free now; null: the attempt was not ours to end. */
  landed(inHand: InHand, advanced: Advanced | null): void {
    if (advanced) this.#follow(inHand, advanced);
    if (this.#hungry.size > 0) this.deps.ticker.wake();
  }

  /** Sets a run aside that cannot go on. */
  async quarantine(run: OwnedRun, error: unknown): Promise<void> {
    const { stopped, logger, clock, writes, carrier, ticker } = this.deps;
    if (stopped.aborted) return;
    logger.error("a run cannot be carried on; it is set aside", { runId: run.id, error });
    const now = clock();
    await writes.patiently((tx) => quarantineRun(tx, run, "Maia could not carry the run on; its log says why", now));
    carrier.killAllOf(run.id);
    this.#forget(run.id);
    ticker.wake();
  }

  /** Lets go of all runs: they have another owner. */
  letGo(): void {
    for (const runId of [...this.#runs.keys()]) {
      this.deps.carrier.letGoOf(runId);
      this.#forget(runId);
    }
  }

  /** Does outside of the database what a committed write asks for. */
  #follow(inHand: InHand, advanced: Advanced): void {
    if (!this.#has(inHand)) {
      this.#leave(advanced.opened);
      return;
    }
    const { carrier, afar, fetches, runnerQueues, due, ticker, clock } = this.deps;
    const { id: runId, runnerId } = inHand.run;
    for (const opened of advanced.opened) {
      if (opened.afar) afar.follow(inHand, opened.ref, opened.afar);
      else carrier.carry(inHand, opened);
    }
    for (const attemptId of advanced.stop) carrier.cancel(attemptId, "stop");
    for (const fileId of advanced.fetch) fetches.start(inHand, fileId);
    runnerQueues.note(runId, runnerId, advanced.waiting);
    if (advanced.waiting.here) {
      this.#hungry.add(runId);
      if (!this.#canOpen()) this.#waitForExecutor();
    }
    if (advanced.retryAt) ticker.wakeAt(advanced.retryAt.getTime() - clock().getTime());
    if (!advanced.over) due.watch(inHand);
    else {
      this.#forget(runId);
      ticker.wake();
    }
  }

  #has({ run }: InHand): boolean {
    return this.#runs.get(run.id)?.run.epoch === run.epoch;
  }

  /** Leaves attempts to whoever takes their run over: it was let go of while the write that opened them had begun. */
  #leave(opened: readonly OpenedAttempt[]): void {
    const { slots, ticker } = this.deps;
    for (const { afar } of opened) if (afar === null) slots.give();
    if (opened.length > 0) ticker.wake();
  }

  /** Whether attempts may be opened here now. */
  #canOpen(): boolean {
    return this.deps.advancer().placing.ledgerId !== null;
  }

  #waitForExecutor(): void {
    if (this.#hungry.size > 0) this.deps.ticker.wakeAt(UNREACHED_MS);
  }

  /** Lets go of a run that has ended, or is somebody else's. */
  #forget(runId: string): void {
    const { runnerQueues, afar, fetches, times } = this.deps;
    this.#runs.delete(runId);
    this.#hungry.delete(runId);
    runnerQueues.drop(runId);
    afar.forget(runId);
    fetches.stop(runId);
    times.forget(runId);
  }
}
