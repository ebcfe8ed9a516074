import { adoptRuns, cancelRequests, type Db, nextRetries, type OwnedRun, quarantineRun } from "@maia/db";
import type { Clock } from "@maia/domain";
import type { Executor } from "@maia/runner-protocol";
import type { Logger } from "@maia/service";
import type { BlobStore } from "@maia/storage";
import { type Advanced, type Advancer, advanceRun } from "./advance.js";
import { Carrier } from "./carrier.js";
import { Claimer } from "./claimer.js";
import type { EngineConfig } from "./config.js";
import { taskRules } from "./dispatch.js";
import type { InHand } from "./flights.js";
import { fetchInput, type InputFetcher } from "./inputs.js";
import { Lease, type Monotonic } from "./lease.js";
import { pause } from "./pause.js";
import { recoverRun } from "./recover.js";
import { Slots } from "./slots.js";
import { Snapshots } from "./snapshots.js";
import { Ticker } from "./ticker.js";
import { Writes } from "./writes.js";

export interface EngineDeps {
  readonly db: Db;
  readonly blobs: BlobStore;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly monotonic: Monotonic;
  readonly fetcher: InputFetcher;
  readonly executor: Executor;
  /** The runner that attempts are noted with. */
  readonly runnerId: string;
}

/** How often an executor that has not been reached is looked at again, in milliseconds. */
const UNREACHED_MS = 1_000;

/**
 * Claims jobs and carries their runs through. It remembers nothing that the database does not know: runs in hand and
 * attempts in flight are found again by whoever adopts them.
 */
export class Engine implements AsyncDisposable {
  readonly #lease: Lease;
  readonly #snapshots: Snapshots;
  readonly #slots: Slots;
  readonly #writes: Writes;
  readonly #ticker: Ticker;
  readonly #carrier: Carrier;
  readonly #claimer: Claimer;
  readonly #runs = new Map<string, InHand>();
  /** Runs with ready steps and no slot for them, in the order in which they asked. */
  readonly #hungry = new Set<string>();
  readonly #fetching = new Set<string>();
  readonly #stopped = new AbortController();
  #draining = false;

  private constructor(
    private readonly config: EngineConfig,
    private readonly deps: EngineDeps,
  ) {
    const { constants } = config;
    const { db, logger, clock, blobs, executor } = deps;
    const stopped = this.#stopped.signal;
    this.#lease = new Lease(db, clock, deps.monotonic, constants.leaseTtlMs);
    this.#snapshots = new Snapshots(db);
    this.#slots = new Slots(constants.stepConcurrency);
    this.#writes = new Writes(db, this.#slots, logger, stopped);
    this.#ticker = new Ticker({
      tick: () => this.#tick(),
      beat: () => this.#beat(),
      bell: db.bell("engine"),
      renewMs: constants.leaseRenewMs,
      retryMs: constants.engineTickMs,
      logger,
    });
    this.#carrier = new Carrier({
      db,
      blobs,
      executor,
      logger,
      clock,
      stopped,
      slots: this.#slots,
      writes: this.#writes,
      rules: taskRules(constants),
      advancer: () => this.#advancer(),
      landed: (inHand, advanced) => this.#landed(inHand, advanced),
    });
    this.#claimer = new Claimer({
      db,
      clock,
      logger,
      writes: this.#writes,
      snapshots: this.#snapshots,
      advancer: () => this.#advancer(),
      claimed: ({ run, version, advanced }) => {
        this.#runs.set(run.id, { run, version });
        this.#follow({ run, version }, advanced);
      },
    });
  }

  static async start(config: EngineConfig, deps: EngineDeps): Promise<Engine> {
    const engine = new Engine(config, deps);
    await engine.#lease.begin();
    await engine.#beat();
    engine.#ticker.start();
    return engine;
  }

  get engineId(): string {
    return this.#lease.engineId;
  }

  /** One round: cancels, retries that are due, steps that waited for a slot, then new jobs. */
  async #tick(): Promise<void> {
    const due = new Set(await cancelRequests(this.deps.db, this.engineId));
    for (const runId of await this.#dueRetries()) due.add(runId);
    if (this.#ledgerId() === null) this.#waitForExecutor();
    else if (this.#slots.free > 0) for (const runId of this.#hungry) due.add(runId);
    await Promise.all([...due].map((runId) => this.#advanceSafely(runId)));
    await this.#claim();
  }

  async #dueRetries(): Promise<string[]> {
    const now = this.deps.clock();
    const due: string[] = [];
    for (const { runId, nextAttemptAt } of await nextRetries(this.deps.db, this.engineId)) {
      const waitMs = new Date(nextAttemptAt).getTime() - now.getTime();
      if (waitMs <= 0) due.push(runId);
      else this.#ticker.wakeAt(waitMs);
    }
    return due;
  }

  #waitForExecutor(): void {
    if (this.#hungry.size > 0 && !this.#draining) this.#ticker.wakeAt(UNREACHED_MS);
  }

  async #claim(): Promise<void> {
    const room = this.config.constants.runConcurrency - this.#runs.size;
    if (room <= 0 || this.#draining) return;
    if (await this.#claimer.claim(room)) this.#ticker.wake();
  }

  async #advance(runId: string): Promise<void> {
    const inHand = this.#runs.get(runId);
    if (!inHand) return;
    this.#hungry.delete(runId);
    const now = this.deps.clock();
    const advanced = await this.#writes.withSlots((tx, hold) =>
      advanceRun(tx, inHand.run, inHand.version, this.#advancer(), hold, now),
    );
    this.#follow(inHand, advanced);
  }

  /** Advances a run; one that cannot be advanced is set aside, so that it holds up no other (G12). */
  async #advanceSafely(runId: string): Promise<void> {
    const inHand = this.#runs.get(runId);
    try {
      await this.#advance(runId);
    } catch (error) {
      if (inHand) await this.#quarantine(inHand.run, error);
    }
  }

  async #quarantine(run: OwnedRun, error: unknown): Promise<void> {
    if (this.#stopped.signal.aborted) return;
    this.deps.logger.error("a run cannot be carried on; it is set aside", { runId: run.id, error });
    const now = this.deps.clock();
    await this.#writes.patiently((tx) =>
      quarantineRun(tx, run, "Maia could not carry the run on; its log says why", now),
    );
    this.#carrier.letGoOf(run.id);
    this.#runs.delete(run.id);
    this.#hungry.delete(run.id);
    this.#ticker.wake();
  }

  #advancer(): Advancer {
    const limits = { maxAttemptsLost: this.config.constants.maxAttemptsLost };
    return { engineId: this.engineId, ledgerId: this.#ledgerId(), runnerId: this.deps.runnerId, limits };
  }

  /** The ledger for new attempts; null: none may be opened now. */
  #ledgerId(): string | null {
    return this.#draining ? null : this.#carrier.ledgerId;
  }

  #landed(inHand: InHand, advanced: Advanced | null): void {
    if (advanced) this.#follow(inHand, advanced);
    if (this.#hungry.size > 0) this.#ticker.wake();
  }

  /** Does outside of the database what a committed write asks for. */
  #follow(inHand: InHand, advanced: Advanced): void {
    for (const opened of advanced.opened) this.#carrier.carry(inHand, opened, 0);
    for (const attemptId of advanced.stop) this.#carrier.cancel(attemptId, "stop");
    for (const fileId of advanced.fetch) void this.#fetch(inHand, fileId);
    if (advanced.hungry) {
      this.#hungry.add(inHand.run.id);
      if (this.#ledgerId() === null) this.#waitForExecutor();
    }
    if (advanced.retryAt) this.#ticker.wakeAt(advanced.retryAt.getTime() - this.deps.clock().getTime());
    if (advanced.over) {
      this.#runs.delete(inHand.run.id);
      this.#hungry.delete(inHand.run.id);
      this.#ticker.wake();
    }
  }

  async #fetch(inHand: InHand, fileId: string): Promise<void> {
    if (this.#fetching.has(fileId)) return;
    this.#fetching.add(fileId);
    try {
      const settle = await fetchInput(this.deps.fetcher, this.deps.db, inHand.run, fileId, this.#stopped.signal);
      if (!settle) return;
      const now = this.deps.clock();
      await this.#writes.patiently((tx) => settle(tx, now));
      await this.#advance(inHand.run.id);
    } catch (error) {
      await this.#quarantine(inHand.run, error);
    } finally {
      this.#fetching.delete(fileId);
    }
  }

  /** Renews the lease, ends those of dead engines, and adopts their runs. */
  async #beat(): Promise<void> {
    if (!(await this.#lease.renew())) await this.#fenced();
    await this.#lease.endDeadOnes();
    await this.#adopt();
    await this.#lease.tidy();
  }

  /** Our runs have a new owner: let go of everything, and begin anew as somebody else. */
  async #fenced(): Promise<void> {
    this.deps.logger.warn("the lease was lost; all runs are let go", {
      engineId: this.engineId,
      runs: this.#runs.size,
    });
    for (const runId of this.#runs.keys()) this.#carrier.letGoOf(runId);
    this.#runs.clear();
    this.#hungry.clear();
    await this.#lease.begin();
    this.#ticker.wake();
  }

  async #adopt(): Promise<void> {
    const room = this.config.constants.runConcurrency - this.#runs.size;
    if (room <= 0 || this.#draining) return;
    const runs = await this.#writes.patiently((tx) => adoptRuns(tx, this.engineId, room));
    if (runs.length > 0) this.deps.logger.info("adopted runs of an engine that ended", { runs: runs.length });
    for (const run of runs) await this.#recover(run);
    if (runs.length > 0) this.#ticker.wake();
  }

  async #recover(run: OwnedRun): Promise<void> {
    try {
      const inHand = { run, version: await this.#snapshots.load(run.versionId) };
      this.#runs.set(run.id, inHand);
      await recoverRun(this.deps.db, this.#carrier, this.#slots, inHand);
      await this.#advance(run.id);
    } catch (error) {
      await this.#quarantine(run, error);
    }
  }

  /** Stops: takes nothing new, lets own steps finish for a while, then ends them and the lease. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#draining = true;
    await this.#ticker.stop();
    if (this.#carrier.isLocal && !(await this.#drained())) {
      this.#carrier.killAll();
      await this.#drained();
    }
    this.#stopped.abort();
    await this.deps.executor[Symbol.asyncDispose]();
    await this.#lease.end();
  }

  /** Waits for the attempts in flight, as long as a stopping engine may. */
  async #drained(): Promise<boolean> {
    const end = this.deps.monotonic() + this.config.drainMs;
    while (this.#carrier.size > 0 && this.deps.monotonic() < end) await pause(10, this.#stopped.signal);
    return this.#carrier.size === 0;
  }
}
