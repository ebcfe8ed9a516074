import {
  announceStatus,
  countInFlight,
  countOpenTransactions,
  type Db,
  gatewayBeats,
  isEnginesOwn,
  markQuiet,
  markResumed,
  markSilent,
  noteActivity,
  type OpenPause,
  openPauses,
  readRunnerFacts,
  type WatchedInstance,
  type WatchedRunner,
  watchedInstances,
  watchedRunners,
} from "@maia/db";
import { type Clock, isConnected, pausedUntil, type RunnerFacts, runnerStatus } from "@maia/domain";
import type { Constants, Logger } from "@maia/service";
import type { Afar } from "./afar.js";
import type { Monotonic } from "./lease.js";
import { Silence } from "./silence.js";
import type { Writes } from "./writes.js";

export interface FleetWatchDeps {
  readonly db: Db;
  readonly writes: Writes;
  readonly clock: Clock;
  readonly monotonic: Monotonic;
  readonly logger: Logger;
  readonly constants: Constants;
  /** The runner that is this engine itself; null: none is. */
  readonly ownId: string | null;
  readonly afar: Afar;
  readonly wakeAt: (ms: number) => void;
}

/** Between two looks at least, in milliseconds: many commits ring, and few are about runners. */
const SPACING_MS = 50;

/** Looks after the runners: who has fallen silent, what is lost with them, which pauses are quiet, and what to tell of it. */
export class FleetWatch {
  readonly #silence: Silence;
  readonly #looksMs: number;
  #next = Number.NEGATIVE_INFINITY;
  #others: readonly WatchedRunner[] = [];
  /** True while there is something that may change without a bell. */
  #isBusy = false;

  constructor(private readonly deps: FleetWatchDeps) {
    const { runnerHeartbeatMs, runnerUnknownMs } = deps.constants;
    this.#looksMs = Math.min(runnerHeartbeatMs, runnerUnknownMs / 3);
    this.#silence = new Silence(Math.max(5 * this.#looksMs, 2_000), 3 * runnerHeartbeatMs);
  }

  /** One look, unless the last one was just now. @returns the runners other than this engine itself. */
  async look(): Promise<readonly WatchedRunner[]> {
    const { db, monotonic, wakeAt } = this.deps;
    const now = monotonic();
    if (now < this.#next) {
      wakeAt(this.#next - now);
      return this.#others;
    }
    this.#next = now + SPACING_MS;
    const runners = await watchedRunners(db.sql);
    const pauses = await openPauses(db.sql);
    this.#others = runners.filter(({ id }) => id !== this.deps.ownId);
    this.#isBusy = this.#others.length > 0 || pauses.length > 0;
    // What runs afar may be on a runner that was removed, and so is not among the others.
    const isFarOff = this.#others.length > 0 || this.deps.afar.size > 0;
    if (isFarOff) await this.#listen(await watchedInstances(db.sql));
    for (const pause of pauses) await this.#quieten(pause);
    if (this.#isBusy || runners.some(({ announcedStatus }) => announcedStatus !== "RUNNING"))
      for (const runner of runners) if (runner.isRemoved === 0) await this.#tell(runner);
    if (isFarOff) wakeAt(this.#looksMs);
    return this.#others;
  }

  async #listen(instances: readonly WatchedInstance[]): Promise<void> {
    const { db, writes, clock, monotonic, constants, logger } = this.deps;
    const { runnerUnknownMs, gatewayReconnectWindowMs, runnerHeartbeatMs } = constants;
    const silence = this.#silence.look(instances, beatsOf(await gatewayBeats(db.sql)), monotonic());
    const gone = new Set<string>();
    for (const { id, runnerId, heartbeatSeq, isSilent, isRemoved } of instances) {
      const silentMs = silence.get(id) ?? 0;
      if (isRemoved === 1 || silentMs > gatewayReconnectWindowMs + 2 * runnerHeartbeatMs) gone.add(id);
      if (silentMs <= runnerUnknownMs || isSilent === 1) continue;
      if (await writes.patiently((tx) => markSilent(tx, id, heartbeatSeq, clock())))
        logger.warn("nothing is heard of a runner's instance any more", { runnerId, instanceId: id, silentMs });
    }
    await this.#settle(instances, gone);
  }

  /** Gives up what instances had in hand that are gone for good, and takes back what others will not begin any more. */
  async #settle(instances: readonly WatchedInstance[], gone: ReadonlySet<string>): Promise<void> {
    const { afar } = this.deps;
    const live = await afar.look();
    const byId = new Map(instances.map((instance) => [instance.id, instance]));
    const lost = live.filter(({ instanceId }) => !byId.has(instanceId) || gone.has(instanceId));
    if (lost.length > 0)
      await afar.giveUp(idsOf(lost), "The runner's instance is gone, or was not heard of for too long");
    const waiting = live.filter(({ handed, inTransaction }) => handed === 0 && inTransaction === 0);
    const stopping = waiting.filter(({ instanceId }) => byId.get(instanceId)?.isStopping === 1);
    if (stopping.length > 0) await afar.takeBack(idsOf(stopping), "The runner's instance stops");
    const silent = waiting.filter(({ instanceId }) => byId.get(instanceId)?.isSilent === 1 && !gone.has(instanceId));
    if (silent.length > 0) await afar.takeBack(idsOf(silent), "Nothing is heard of the runner's instance");
  }

  /** Notes when all has ended that ran on a paused runner, and when the pause is over by itself. */
  async #quieten({ id, runnerId, quietAt }: OpenPause): Promise<void> {
    const { db, writes, clock, constants, wakeAt } = this.deps;
    const now = clock();
    if (quietAt === null) {
      const left = (await countInFlight(db.sql, runnerId)) + (await countOpenTransactions(db.sql, runnerId));
      if (left === 0) await writes.patiently((tx) => markQuiet(tx, id, now));
      wakeAt(SPACING_MS);
      return;
    }
    const until = new Date(quietAt.getTime() + constants.pauseAutoResumeMs);
    if (until > now) return wakeAt(until.getTime() - now.getTime());
    await writes.patiently(async (tx) => {
      if (await markResumed(tx, id, until))
        await noteActivity(tx, runnerId, { actor: "maia", action: "RESUME", note: "The pause was over" }, now);
    });
  }

  async #tell(runner: WatchedRunner): Promise<void> {
    const { db, writes, clock, constants, logger } = this.deps;
    const facts = await factsOf(db, runner);
    const now = clock();
    const status = runnerStatus(facts, constants.pauseAutoResumeMs, now);
    if (status === runner.announcedStatus) return;
    const until = facts.pause && pausedUntil(facts.pause, constants.pauseAutoResumeMs);
    const connected = facts.instances.some(isConnected);
    const isTold = await writes.patiently(async (tx) => {
      if (!(await announceStatus(tx, runner, { status, connected, pausedUntil: until }, now))) return false;
      const data = { from: runner.announcedStatus, to: status };
      await noteActivity(tx, runner.id, { actor: "maia", action: "STATUS", data }, now);
      return true;
    });
    if (isTold) logger.info("a runner's status has changed", { runnerId: runner.id, runnerName: runner.name, status });
  }
}

/** Without a pool the hosted runner's instance is the engine that asks. */
async function factsOf(db: Db, runner: WatchedRunner): Promise<RunnerFacts> {
  const facts = await readRunnerFacts(db.sql, runner.id);
  if (!isEnginesOwn(runner)) return facts;
  return { ...facts, instances: [{ helloAt: new Date(0), silentAt: null, stoppingAt: null, stoppedAt: null }] };
}

/** One number that changes with each beat of any of them. */
function beatsOf(gateways: readonly { readonly heartbeatSeq: number }[]): number {
  return gateways.reduce((sum, { heartbeatSeq }) => sum + heartbeatSeq + 1, 0);
}

function idsOf(items: readonly { readonly id: string }[]): string[] {
  return items.map(({ id }) => id);
}
