import type { Db } from "@maia/db";
import type { Clock } from "@maia/domain";
import type { Executor } from "@maia/runner-protocol";
import type { SchemaWorker } from "@maia/schema";
import type { SecretBox } from "@maia/secrets";
import type { Logger } from "@maia/service";
import type { BlobStore } from "@maia/storage";
import { Snapshots, taskRules } from "@maia/tasks";
import { Adopter } from "./adopter.js";
import type { Advancer } from "./advance.js";
import { Afar } from "./afar.js";
import { AfarFetcher } from "./afar-fetcher.js";
import { Batches } from "./batches.js";
import { Carrier } from "./carrier.js";
import { Claimer } from "./claimer.js";
import type { EngineConfig } from "./config.js";
import { DueRuns } from "./due-runs.js";
import { Fetches, type InputFetcher } from "./fetches.js";
import { FleetWatch } from "./fleet-watch.js";
import { Lease, type Monotonic } from "./lease.js";
import { pause } from "./pause.js";
import { Pinnings } from "./pinning.js";
import { QueueWatch } from "./queue-watch.js";
import { RunnerQueues } from "./runner-queues.js";
import { RunsInHand } from "./runs-in-hand.js";
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

/** A tick that lasts longer than so many leases is stuck: whoever cannot work must not keep others from it. */
const STUCK_TTLS = 3;

/**
 * Claims jobs and carries their runs through. It remembers nothing that the database does not know: runs in hand and
 * attempts in flight are found again by whoever adopts them.
 */
export class Engine implements AsyncDisposable {
  readonly #lease: Lease;
  readonly #ticker: Ticker;
  readonly #carrier: Carrier;
  /** Attempts that runners elsewhere have in hand. */
  readonly #afar: Afar;
  readonly #runnerQueues: RunnerQueues;
  readonly #fleet: FleetWatch;
  readonly #claimer: Claimer;
  readonly #schedules: Schedules;
  readonly #batches: Batches;
  readonly #runs: RunsInHand;
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
    const { db, blobs, secrets, logger, clock, monotonic, executor } = deps;
    const stopped = this.#stopped.signal;
    this.#lease = new Lease(db, clock, monotonic, constants.leaseTtlMs);
    this.#times = new SteadyTimes(monotonic);
    const ticker = new Ticker({
      tick: () => this.#tick(),
      beat: () => this.#beat(),
      bell: db.bell("engine"),
      renewMs: constants.leaseRenewMs,
      retryMs: constants.engineTickMs,
      logger,
    });
    this.#ticker = ticker;
    const slots = new Slots(constants.stepConcurrency);
    const writes = new Writes(db, slots, logger, stopped);
    const snapshots = new Snapshots(db);
    const rules = taskRules(constants);
    const engineId = () => this.engineId;
    const advancer = () => this.#advancer();
    const wakeAt = (ms: number) => ticker.wakeAt(ms);
    const common = { db, blobs, logger, clock, monotonic, writes, stopped, constants, engineId, advancer, wakeAt };

    const pinnings = new Pinnings({ ...common, executor, rules });
    this.#afar = new Afar({ ...common, pinnings, ended: () => ticker.wake() });
    this.#carrier = new Carrier({
      ...common,
      secrets,
      executor,
      slots,
      rules,
      pinnings,
      landed: (inHand, advanced) => this.#runs.landed(inHand, advanced),
      broken: (inHand, error) => this.#runs.quarantine(inHand.run, error),
    });
    const afarFetcher = new AfarFetcher(common);
    const fetches = new Fetches({
      ...common,
      fetcher: (run, ...what) =>
        run.dataResidency === "runner" ? afarFetcher.fetch(run, what[0], what[1]) : deps.fetcher(...what),
      concurrency: constants.urlConcurrency,
      settled: (run) => this.#runs.advance(run.id),
      broken: (run, error) => this.#runs.quarantine(run, error),
    });
    this.#runnerQueues = new RunnerQueues({ ...common, autoResumeMs: constants.pauseAutoResumeMs });
    this.#due = new DueRuns({ ...common, times: this.#times, runs: () => this.#runs.all() });
    this.#runs = new RunsInHand({
      ...common,
      ticker,
      slots,
      snapshots,
      fetches,
      carrier: this.#carrier,
      afar: this.#afar,
      runnerQueues: this.#runnerQueues,
      due: this.#due,
      times: this.#times,
    });
    this.#adopter = new Adopter({ ...common, room: () => this.#room(), take: (run) => this.#runs.recover(run) });
    this.#claimer = new Claimer({ ...common, snapshots, claimed: (claimed) => this.#runs.begin(claimed) });
    this.#fleet = new FleetWatch({ ...common, ownId: deps.runnerId, afar: this.#afar });
    this.#queue = new QueueWatch(common);
    this.#batches = new Batches(common);
    const intake = { db, schemas: deps.schemas, idempotencyTtlMs: constants.idempotencyTtlMs };
    this.#schedules = new Schedules({ ...common, intake });
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
    for (const runId of this.#runs.hungry()) due.add(runId);
    const others = await this.#fleet.look();
    for (const runId of await this.#afar.takeEnded()) due.add(runId);
    if (!this.#draining) for (const runId of await this.#runnerQueues.due()) due.add(runId);
    await this.#runs.advanceAll(due);
    const nextMs = await this.#queue.expire();
    if (nextMs !== null) this.#ticker.wakeAt(nextMs);
    if (!this.#draining) await this.#batches.tick();
    await this.#adopter.first();
    if (await this.#claim(others.map(({ id }) => id))) this.#ticker.wake();
  }

  /** Takes jobs of its own, and of runners elsewhere. True: there may be more. */
  async #claim(others: readonly string[]): Promise<boolean> {
    const room = this.#room();
    if (room === null) return false;
    const { runnerId } = this.deps;
    const moreHere = runnerId !== null && room > 0 && (await this.#claimer.claim(runnerId, room));
    const moreAfar = await this.#claimer.claimAhead(others);
    return moreHere || moreAfar;
  }

  /** How many runs more that this engine executes itself may be taken in hand; null: none will be. */
  #room(): number | null {
    return this.#draining ? null : this.config.constants.runConcurrency - this.#runs.countFor(this.deps.runnerId);
  }

  #advancer(): Advancer {
    const { maxAttemptsLost, pauseAutoResumeMs, resumeQueueTimeoutMs, gatewayReconnectWindowMs } =
      this.config.constants;
    const placing = {
      runnerId: this.deps.runnerId,
      ledgerId: this.#draining ? null : this.#carrier.ledgerId, // null: no attempts may be opened now
      autoResumeMs: pauseAutoResumeMs,
      resumeQueueTimeoutMs,
      gatewayWindowMs: gatewayReconnectWindowMs,
    };
    return { engineId: this.engineId, placing, limits: { maxAttemptsLost }, times: this.#times };
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
    this.#runs.letGo();
    await this.#lease.begin();
    this.#ticker.wake();
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
