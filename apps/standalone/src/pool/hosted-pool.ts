import { type Db, sightOfPool } from "@maia/db";
import { nextPoolSize, wantedRunners } from "@maia/domain";
import type { Env, Logger } from "@maia/service";
import { folderOf, slotsWithNews } from "./folders.js";
import type { PoolConfig } from "./pool-config.js";
import { PoolRunner } from "./pool-runner.js";
import { rest } from "./rest.js";

export interface HostedPoolDeps {
  readonly db: Db;
  readonly logger: Logger;
  /** The hosted runner. */
  readonly runnerId: string;
  /** Where each of its processes has a folder. */
  readonly dir: string;
  /** With what a process is started that has this folder. */
  readonly envOf: (folder: string) => Env;
  /** Tasks that one of them takes at once. */
  readonly slots: number;
  /** How long their tasks may take to end when all of this stops. In milliseconds. */
  readonly drainMs: number;
  /** True while the runner is paused, so that no process more would help what waits. */
  readonly isHeld: () => Promise<boolean>;
  /** The version that the next process would have. */
  readonly readVersion: () => Promise<string>;
}

/** Between two looks at the work at least, and at most. In milliseconds. */
const LOOK_MS = { least: 200, most: 5_000 } as const;
/** How long one may take to report and leave once its tasks have had their time. In milliseconds. */
const LATE_MS = 12_000;

/** Keeps as many runners on this host as the hosted runner's work needs, and replaces them one by one when told to. */
export class HostedPool implements AsyncDisposable {
  readonly #runners = new Map<number, PoolRunner>();
  readonly #stop = new AbortController();
  readonly #watching: Promise<void>;
  #rolling: Promise<void> = Promise.resolve();
  /** True while one more than needed lives, since it takes the place of another. */
  #isReplacing = false;
  /** Since when fewer have been enough, by the monotonic clock. */
  #enoughSince: number | null = null;

  private constructor(
    private readonly config: PoolConfig,
    private readonly deps: HostedPoolDeps,
    private version: string,
    slots: readonly number[],
  ) {
    for (const slot of slots) this.#start(slot);
    while (this.#working.length < config.min) this.#start();
    this.#watching = this.#watch();
  }

  /** Starts it, at first where an earlier process has left something to report. */
  static async open(config: PoolConfig, deps: HostedPoolDeps): Promise<HostedPool> {
    return new HostedPool(config, deps, await deps.readVersion(), await slotsWithNews(deps.dir));
  }

  /** Replaces all that live now: the next one is there before the last is let go, and no task is lost. */
  roll(): Promise<void> {
    this.#rolling = this.#rolling
      .then(() => this.#replaceAll())
      .catch((error: unknown) => this.deps.logger.error("the hosted runners could not be replaced", { error }));
    return this.#rolling;
  }

  async #replaceAll(): Promise<void> {
    this.deps.logger.info("the hosted runners are replaced one by one", { runners: this.#working.length });
    for (const runner of this.#working) if (!(await this.#replace(runner))) return;
  }

  /** Lets all finish what they have for a while, and ends them. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.all([this.#watching, this.#rolling]);
    const all = [...this.#runners.values()];
    for (const runner of all) runner.stop(this.deps.drainMs);
    const late = setTimeout(() => {
      for (const runner of all) runner.kill();
    }, this.deps.drainMs + LATE_MS);
    await Promise.all(all.map(({ gone }) => gone));
    clearTimeout(late);
  }

  get #working(): PoolRunner[] {
    return [...this.#runners.values()].filter(({ isStopping }) => !isStopping);
  }

  async #watch(): Promise<void> {
    const { signal } = this.#stop;
    for (const bell = this.deps.db.bell("engine"); !signal.aborted; ) {
      const over = new AbortController();
      const either = AbortSignal.any([over.signal, signal]);
      const rung = bell.next(either); // listen before looking
      await this.#look().catch((error: unknown) => this.deps.logger.error("the hosted pool cannot look", { error }));
      await rest(LOOK_MS.least, signal);
      const mostMs = this.#enoughSince === null ? LOOK_MS.most : Math.min(LOOK_MS.most, this.config.idleMs);
      await Promise.race([rung, rest(mostMs, either)]);
      over.abort();
    }
  }

  /** Starts and lets go what the work asks for. While one is replaced the size stays as it is. */
  async #look(): Promise<void> {
    const { db, runnerId, slots, logger } = this.deps;
    const version = await this.deps.readVersion();
    if (version !== this.version) {
      logger.info("another version is installed", { from: this.version, to: version });
      this.version = version;
      void this.roll();
    }
    const { inFlight, queued } = await sightOfPool(db.sql, runnerId);
    const load = { inFlight, queued: (await this.deps.isHeld()) ? 0 : queued, slots };
    if (this.#isReplacing || this.#stop.signal.aborted) return;
    const size = this.#working.length;
    const wanted = wantedRunners(load, this.config);
    const now = performance.now();
    this.#enoughSince = wanted < size ? (this.#enoughSince ?? now) : null;
    const next = nextPoolSize(size, wanted, now - (this.#enoughSince ?? now), this.config);
    if (next === size) return;
    logger.info("the hosted pool changes its size", { from: size, to: next });
    while (this.#working.length < next) this.#start();
    if (next < size) this.#working.at(-1)?.stop();
    this.#enoughSince = null;
  }

  /** False: it cannot be replaced, and goes on. */
  async #replace(old: PoolRunner): Promise<boolean> {
    const { signal } = this.#stop;
    if (signal.aborted) return false;
    if (old.isStopping) return true;
    this.#isReplacing = true;
    try {
      const known = await this.#connected();
      const next = this.#start();
      const deadline = performance.now() + this.config.connectMs;
      for (let isThere = false; !isThere; isThere = [...(await this.#connected())].some((id) => !known.has(id))) {
        await rest(LOOK_MS.least, signal);
        if (signal.aborted) return false;
        if (performance.now() < deadline) continue;
        this.deps.logger.error("a new hosted runner does not connect; the others stay as they are", {
          slot: next.slot,
        });
        next.stop();
        return false;
      }
      old.stop();
    } finally {
      this.#isReplacing = false;
    }
    await Promise.race([old.gone, new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }))]);
    return true;
  }

  /** The instances that the gateway hears. */
  async #connected(): Promise<Set<string>> {
    const { instances } = await sightOfPool(this.deps.db.sql, this.deps.runnerId);
    return new Set(instances.filter(({ isStopping }) => !isStopping).map(({ id }) => id));
  }

  /** Starts a runner in a folder that no other has. */
  #start(slot = this.#freeSlot()): PoolRunner {
    const { logger, dir, envOf } = this.deps;
    const runner = new PoolRunner({ slot, logger, env: envOf(folderOf(dir, slot)) });
    this.#runners.set(slot, runner);
    void runner.gone.then(() => this.#runners.delete(slot));
    return runner;
  }

  #freeSlot(): number {
    let slot = 1;
    while (this.#runners.has(slot)) slot += 1;
    return slot;
  }
}
