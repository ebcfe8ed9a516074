import {
  contentSize,
  type Db,
  databaseSize,
  deleteEmptyBatches,
  deleteJob,
  deleteOldestEvents,
  type EndedJob,
  endedJobs,
  expireIdempotencyKeys,
  forgetBlobs,
  forgetSilent,
  keepReferred,
  liveEngines,
  shrinkDatabase,
  trimActivities,
  watchedRunners,
} from "@maia/db";
import type { Clock } from "@maia/domain";
import type { Constants, Logger } from "@maia/service";
import type { BlobStore } from "@maia/storage";
import { pause } from "./pause.js";

export interface HousekeeperDeps {
  readonly db: Db;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly constants: Pick<
    Constants,
    "sweepMs" | "retentionMs" | "retentionMax" | "blobGcAgeMs" | "idempotencyTtlMs" | "uploadRestMs" | "runnerForgetMs"
  >;
  readonly engineId: () => string;
}

/** What a sweep has removed. */
export interface Swept {
  readonly jobs: number;
  readonly blobs: number;
}

/** Jobs that are looked up at once. */
const JOBS_AT_ONCE = 100;
/** Jobs that are deleted before the sizes are looked at again. */
const FEW_JOBS = 5;
/** Free pages that a database may keep for what comes next. */
const SPARE_BYTES = 4 * 1024 * 1024;

/**
 * Keeps the disk from growing for ever: deletes jobs that are older than they are to be kept, or the oldest where there is
 * too much, then content that nobody refers to, and gives the room back. One engine at a time does it.
 */
export class Housekeeper implements AsyncDisposable {
  readonly #stopped = new AbortController();
  #rounds: Promise<void> = Promise.resolve();

  constructor(private readonly deps: HousekeeperDeps) {}

  start(): void {
    this.#rounds = this.#goRound();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort();
    await this.#rounds;
  }

  /** One sweep. */
  async sweep(): Promise<Swept> {
    const { db, clock, constants } = this.deps;
    const now = clock();
    const jobs = await this.#deleteJobs(now);
    if (jobs > 0) while (!this.#isStopped && (await db.write(deleteOldestEvents)) > 0) {}
    const oldest = constants.retentionMs > 0 ? ago(now, constants.retentionMs) : new Date(0);
    while (!this.#isStopped && (await db.write((tx) => deleteEmptyBatches(tx, oldest))) > 0) {}
    while (
      !this.#isStopped &&
      (await db.write((tx) => expireIdempotencyKeys(tx, ago(now, constants.idempotencyTtlMs)))) > 0
    ) {}
    const blobs = await this.#collectBlobs(ago(now, constants.blobGcAgeMs));
    await this.deps.blobs.uploads.dropStale(ago(now, constants.uploadRestMs));
    await db.write((tx) => forgetSilent(tx, ago(now, constants.runnerForgetMs)));
    for (const { id } of await watchedRunners(db.sql))
      while (!this.#isStopped && (await db.write((tx) => trimActivities(tx, id))) > 0) {}
    await this.#shrink();
    return { jobs, blobs };
  }

  get #isStopped(): boolean {
    return this.#stopped.signal.aborted;
  }

  async #goRound(): Promise<void> {
    const { constants, logger } = this.deps;
    for (;;) {
      await pause(constants.sweepMs, this.#stopped.signal);
      if (this.#isStopped) return;
      try {
        if (!(await this.#isOurTurn())) continue;
        const { jobs, blobs } = await this.sweep();
        if (jobs + blobs > 0) logger.info("what is kept no longer was removed", { jobs, blobs });
      } catch (error) {
        logger.error("a sweep failed; the next one goes on", { error });
      }
    }
  }

  /** Of several engines the eldest sweeps; two at once would do no harm, only work twice. */
  async #isOurTurn(): Promise<boolean> {
    const ids = (await liveEngines(this.deps.db)).map(({ id }) => id).sort();
    return ids[0] === this.deps.engineId();
  }

  async #deleteJobs(now: Date): Promise<number> {
    const { db, constants } = this.deps;
    const { retentionMs, retentionMax } = constants;
    let count = retentionMs > 0 ? await this.#deleteAll(() => endedJobs(db, ago(now, retentionMs), JOBS_AT_ONCE)) : 0;
    const isTooMuch = async () => (await contentSize(db.sql)) + (await databaseSize(db.sql)).usedBytes > retentionMax;
    if (retentionMax > 0)
      count += await this.#deleteAll(async () => ((await isTooMuch()) ? endedJobs(db, now, FEW_JOBS) : []));
    return count;
  }

  async #deleteAll(next: () => Promise<EndedJob[]>): Promise<number> {
    let count = 0;
    for (let jobs = await next(); jobs.length > 0; jobs = await next()) {
      for (const job of jobs) {
        if (this.#isStopped) return count;
        await deleteJob(this.deps.db, job);
        count += 1;
      }
    }
    return count;
  }

  /** Content is removed when it is old and nobody refers to it, whether a row was ever written for it or not. */
  async #collectBlobs(before: Date): Promise<number> {
    const { db, blobs } = this.deps;
    while (!this.#isStopped && (await db.write((tx) => forgetBlobs(tx, before))).length > 0) {}
    const old = new Set<string>();
    for await (const { sha256, putAt } of blobs.list()) if (putAt < before) old.add(sha256);
    await keepReferred(db.sql, old);
    let count = 0;
    for (const sha256 of old) {
      if (this.#isStopped) return count;
      if (await blobs.removeUnused(sha256, before)) count += 1;
    }
    return count;
  }

  async #shrink(): Promise<void> {
    const { db } = this.deps;
    let { freeBytes } = await databaseSize(db.sql);
    while (freeBytes > SPARE_BYTES && !this.#isStopped) freeBytes = await db.write(shrinkDatabase);
  }
}

function ago(now: Date, ms: number): Date {
  return new Date(now.getTime() - ms);
}
