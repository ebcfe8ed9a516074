import { type Db, type OwnedRun, quarantineRun, queuedSteps } from "@maia/db";
import { type Clock, QUEUED_AHEAD } from "@maia/domain";
import type { Executor } from "@maia/runner-protocol";
import type { SchemaWorker } from "@maia/schema";
import type { SecretBox } from "@maia/secrets";
import type { Logger } from "@maia/service";
import type { BlobStore } from "@maia/storage";
import { Snapshots, taskRules } from "@maia/tasks";
import { Adopter } from "./adopter.js";
import { type Advanced, type Advancer, advanceRun } from "./advance.js";
import { Afar } from "./afar.js";
import { Batches } from "./batches.js";
import { Carrier } from "./carrier.js";
import { Claimer } from "./claimer.js";
import type { EngineConfig } from "./config.js";
import { DueRuns } from "./due-runs.js";
import { Fetches, type InputFetcher } from "./fetches.js";
import { FleetWatch } from "./fleet-watch.js";
import type { InHand } from "./flights.js";
import { versionOf } from "./fork.js";
import { Lease, type Monotonic } from "./lease.js";
import type { OpenedAttempt } from "./opening.js";
import { pause } from "./pause.js";
import { Pinnings } from "./pinning.js";
import { QueueWatch } from "./queue-watch.js";
import { recoverRun } from "./recover.js";
import { RunnerQueues } from "./runner-queues.js";
import { Schedules } from "./schedules.js";
import { Slots } from "./slots.js";
import { SteadyTimes } from "./steady-times.js";
import { Ticker } from "./ticker.js";
import { Writes } from "./writes.js";

export interface EngineDeps {
  readonly db: Db;
  readonly blobs: BlobStore;
  readonly secrets: SecretBox;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly monotonic: Monotonic;
  readonly fetcher: InputFetcher;
  /** Checks the params of the jobs that schedules make. */
  readonly schemas: SchemaWorker;
  readonly executor: Executor;
  /** The runner that this engine's own attempts are noted with; null: all is done elsewhere. */
  readonly runnerId: string | null;
}

/** How often an executor that has not been reached is looked at again, in milliseconds. */
const UNREACHED_MS = 1_000;
/** A tick that lasts longer than so many leases is stuck: whoever cannot work must not keep others from it. */
const STUCK_TTLS = 3;

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
  /** Attempts that runners elsewhere have in hand. */
  readonly #afar: Afar;
  readonly #runnerQueues: RunnerQueues;
  readonly #fleet: FleetWatch;
  readonly #claimer: Claimer;
  readonly #schedules: Schedules;
  readonly #batches: Batches;
  readonly #runs = new Map<string, InHand>();
  /** Runs with ready steps and no slot for them, in the order in which they asked. */
  readonly #hungry = new Set<string>();
  readonly #fetches: Fetches;
  /** When retries are due and runs are too late. */
  readonly #times: SteadyTimes;
  readonly #queue: QueueWatch;
  readonly #adopter: Adopter;
  readonly #due: DueRuns;
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
    this.#times = new SteadyTimes(deps.monotonic);
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
    const rules = taskRules(constants);
    const pinnings = new Pinnings({ db, blobs, executor, clock, stopped, rules, writes: this.#writes });
    this.#afar = new Afar({
      db,
      clock,
      logger,
      stopped,
      pinnings,
      writes: this.#writes,
      ended: () => this.#ticker.wake(),
    });
    this.#carrier = new Carrier({
      db,
      blobs,
      secrets: deps.secrets,
      executor,
      logger,
      clock,
      stopped,
      slots: this.#slots,
      writes: this.#writes,
      rules,
      pinnings,
      advancer: () => this.#advancer(),
      landed: (inHand, advanced) => this.#landed(inHand, advanced),
      broken: (inHand, error) => this.#quarantine(inHand.run, error),
    });
    this.#fetches = new Fetches({
      db,
      clock,
      logger,
      stopped,
      writes: this.#writes,
      fetcher: deps.fetcher,
      concurrency: constants.urlConcurrency,
      settled: (run) => this.#advance(run.id),
      broken: (run, error) => this.#quarantine(run, error),
    });
    const engineId = () => this.engineId;
    const wakeAt = (ms: number) => this.#ticker.wakeAt(ms);
    this.#due = new DueRuns({ db, clock, engineId, wakeAt, times: this.#times, runs: () => this.#runs.values() });
    this.#adopter = new Adopter({
      logger,
      engineId,
      writes: this.#writes,
      room: () => this.#room(),
      take: (run) => this.#recover(run),
    });
    this.#runnerQueues = new RunnerQueues({ db, clock, wakeAt, autoResumeMs: constants.pauseAutoResumeMs });
    this.#fleet = new FleetWatch({
      db,
      clock,
      logger,
      constants,
      wakeAt,
      writes: this.#writes,
      monotonic: deps.monotonic,
      ownId: deps.runnerId,
      afar: this.#afar,
    });
    this.#queue = new QueueWatch({ db, clock, monotonic: deps.monotonic, writes: this.#writes });
    this.#batches = new Batches({ db, blobs, logger, clock, writes: this.#writes });
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
    this.#schedules = new Schedules({
      intake: { db, schemas: deps.schemas, idempotencyTtlMs: constants.idempotencyTtlMs },
      clock,
      logger,
      wakeAt,
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

  /** One round: schedules beside it, cancels, retries that are due, steps that waited for a slot, rows of batches, new jobs. */
  async #tick(): Promise<void> {
    if (!this.#draining) this.#schedules.look();
    const due = await this.#due.find();
    if (this.#ledgerId() === null) this.#waitForExecutor();
    else if (this.#slots.free > 0) for (const runId of this.#hungry) due.add(runId);
    const others = await this.#fleet.look();
    for (const runId of await this.#afar.takeEnded()) due.add(runId);
    if (!this.#draining) for (const runId of await this.#runnerQueues.due()) due.add(runId);
    await Promise.all([...due].map((runId) => this.#advanceSafely(runId)));
    const nextMs = await this.#queue.expire();
    if (nextMs !== null) this.#ticker.wakeAt(nextMs);
    if (!this.#draining) await this.#batches.tick();
    await this.#claim(others.map(({ id }) => id));
  }

  #waitForExecutor(): void {
    if (this.#hungry.size > 0 && !this.#draining) this.#ticker.wakeAt(UNREACHED_MS);
  }

  async #claim(others: readonly string[]): Promise<void> {
    await this.#adopter.first();
    const room = this.#room();
    if (room === null) return;
    const { runnerId: own } = this.deps;
    if (own !== null && room > 0 && (await this.#claimer.claim(own, room))) this.#ticker.wake();
    const waiting = others.length > 0 ? await queuedSteps(this.deps.db.sql) : new Map<string, number>();
    for (const runnerId of others) {
      const ahead = QUEUED_AHEAD - (waiting.get(runnerId) ?? 0);
      if (ahead > 0 && (await this.#claimer.claim(runnerId, ahead))) this.#ticker.wake();
    }
  }

  /** How many runs more that this engine executes itself may be taken in hand; null: none will be. */
  #room(): number | null {
    return this.#draining ? null : this.config.constants.runConcurrency - this.#runsHere;
  }

  get #runsHere(): number {
    let count = 0;
    for (const { run } of this.#runs.values()) if (run.runnerId === this.deps.runnerId) count += 1;
    return count;
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
    this.#carrier.killAllOf(run.id);
    this.#forget(run.id);
    this.#ticker.wake();
  }

  #advancer(): Advancer {
    const { maxAttemptsLost, pauseAutoResumeMs, resumeQueueTimeoutMs, gatewayReconnectWindowMs } =
      this.config.constants;
    const placing = {
      runnerId: this.deps.runnerId,
      ledgerId: this.#ledgerId(),
      autoResumeMs: pauseAutoResumeMs,
      resumeQueueTimeoutMs,
      gatewayWindowMs: gatewayReconnectWindowMs,
    };
    return { engineId: this.engineId, placing, limits: { maxAttemptsLost }, times: this.#times };
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
    if (!this.#isInHand(inHand)) {
      this.#leave(advanced.opened);
      return;
    }
    for (const opened of advanced.opened) {
      if (opened.afar) this.#afar.follow(inHand, opened.ref, opened.afar);
      else this.#carrier.carry(inHand, opened);
    }
    for (const attemptId of advanced.stop) this.#carrier.cancel(attemptId, "stop");
    for (const fileId of advanced.fetch) this.#fetches.start(inHand, fileId);
    this.#runnerQueues.note(inHand.run.id, inHand.run.runnerId, advanced.waiting);
    if (advanced.waiting.here) {
      this.#hungry.add(inHand.run.id);
      if (this.#ledgerId() === null) this.#waitForExecutor();
    }
    if (advanced.retryAt) this.#ticker.wakeAt(advanced.retryAt.getTime() - this.deps.clock().getTime());
    if (!advanced.over) this.#due.watch(inHand);
    if (advanced.over) {
      this.#forget(inHand.run.id);
      this.#ticker.wake();
    }
  }

  #isInHand({ run }: InHand): boolean {
    return this.#runs.get(run.id)?.run.epoch === run.epoch;
  }

  /** Leaves attempts to whoever takes their run over: it was let go of while the write that opened them had begun. */
  #leave(opened: readonly OpenedAttempt[]): void {
    for (const { afar } of opened) if (afar === null) this.#slots.give();
    if (opened.length > 0) this.#ticker.wake();
  }

  /** Lets go of a run that has ended, or is somebody else's. */
  #forget(runId: string): void {
    this.#runs.delete(runId);
    this.#hungry.delete(runId);
    this.#runnerQueues.drop(runId);
    this.#afar.forget(runId);
    this.#fetches.stop(runId);
    this.#times.forget(runId);
  }

  /** Renews the lease, ends those of dead engines, and adopts their runs. */
  async #beat(): Promise<void> {
    const stuckMs = this.#ticker.busyMs;
    if (stuckMs > STUCK_TTLS * this.config.constants.leaseTtlMs)
      throw new Error(`a tick has not ended for ${Math.round(stuckMs)} ms; the lease is left to run out`);
    if (!(await this.#lease.renew())) await this.#fenced();
    await this.#lease.endDeadOnes();
    await this.#adopter.adopt();
    await this.#lease.tidy();
  }

  /** Our runs have a new owner: let go of everything, and begin anew as somebody else. */
  async #fenced(): Promise<void> {
    this.deps.logger.warn("the lease was lost; all runs are let go", {
      engineId: this.engineId,
      runs: this.#runs.size,
    });
    for (const runId of [...this.#runs.keys()]) {
      this.#carrier.letGoOf(runId);
      this.#forget(runId);
    }
    await this.#lease.begin();
    this.#ticker.wake();
  }

  async #recover(run: OwnedRun): Promise<void> {
    try {
      const inHand = { run, version: await versionOf(this.deps.db.sql, this.#snapshots, run) };
      this.#runs.set(run.id, inHand);
      await recoverRun(this.deps.db, { carrier: this.#carrier, afar: this.#afar }, this.#slots, inHand);
      await this.#advance(run.id);
      this.#ticker.wake();
    } catch (error) {
      await this.#quarantine(run, error);
    }
  }

  /** Stops: takes nothing new, lets own steps finish for a while, then ends them and the lease. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#draining = true;
    const quiet = Promise.all([this.#ticker.stopTicks(), this.#schedules.stop()]);
    await Promise.race([quiet, pause(this.config.drainMs, this.#stopped.signal)]);
    if (this.#carrier.isLocal && !(await this.#drained())) {
      this.#carrier.killAll();
      await this.#drained();
    }
    this.#stopped.abort();
    await Promise.all([this.#ticker.stop(), this.#schedules.stop()]);
    await this.deps.executor[Symbol.asyncDispose]();
    // Whoever waits for it to run out instead loses some seconds and nothing else.
    await this.#lease.end().catch((error: unknown) => this.deps.logger.warn("the lease could not be ended", { error }));
  }

  /** Waits for the attempts in flight, as long as a stopping engine may. */
  async #drained(): Promise<boolean> {
    const end = this.deps.monotonic() + this.config.drainMs;
    while (this.#carrier.size > 0 && this.deps.monotonic() < end) await pause(10, this.#stopped.signal);
    return this.#carrier.size === 0;
  }
}
