import { type Db, nextQueuedJobs, type QueuedJob, queuedSteps, type Tx } from "@maia/db";
import { type Clock, isMaiaError, QUEUED_AHEAD } from "@maia/domain";
import type { Logger } from "@maia/service";
import type { Snapshots } from "@maia/tasks";
import type { Advancer } from "./advance.js";
import { type Claimed, claimJobs, refuseJob } from "./claim.js";
import type { Writes } from "./writes.js";

export interface ClaimerDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly writes: Writes;
  readonly snapshots: Snapshots;
  readonly advancer: () => Advancer;
  /** Told of each job that became a run. */
  readonly claimed: (claimed: Claimed) => void;
}

/** Most jobs that one write claims, so that engines which start together share a backlog. */
const CHUNK = 32;

/** Takes jobs from the queue: many in one write, and one by one where one of them spoils it for the others. */
export class Claimer {
  /** The workflow that had the last turn, of each runner's. */
  readonly #lastServed = new Map<string, string>();

  constructor(private readonly deps: ClaimerDeps) {}

  /** Claims what is next for a runner, as far as there is room. True: there may be more. */
  async claim(runnerId: string, room: number): Promise<boolean> {
    const limit = Math.min(room, CHUNK);
    let taken = 0;
    try {
      await this.#open(async (tx) => {
        const jobs = await nextQueuedJobs(tx.sql, runnerId, limit, this.#lastServed.get(runnerId));
        const last = jobs.at(-1);
        if (last) this.#lastServed.set(runnerId, last.workflowId);
        taken = jobs.length;
        return jobs;
      });
    } catch (error) {
      if (isMaiaError(error)) throw error; // the database's trouble, and no job's
      this.deps.logger.error("jobs could not be claimed together; trying one by one", { error });
      await this.#claimOneByOne(runnerId, limit);
    }
    return taken === limit;
  }

  /** Claims for runners elsewhere, as many as may wait for each. True: there may be more. */
  async claimAhead(runnerIds: readonly string[]): Promise<boolean> {
    if (runnerIds.length === 0) return false;
    const waiting = await queuedSteps(this.deps.db.sql);
    let more = false;
    for (const runnerId of runnerIds) {
      const ahead = QUEUED_AHEAD - (waiting.get(runnerId) ?? 0);
      if (ahead > 0 && (await this.claim(runnerId, ahead))) more = true;
    }
    return more;
  }

  async #open(choose: (tx: Tx) => Promise<readonly QueuedJob[]>): Promise<void> {
    const { writes, snapshots, advancer, clock, claimed } = this.deps;
    const now = clock();
    const opened = await writes.withSlots(async (tx, hold) =>
      claimJobs(tx, await choose(tx), advancer(), snapshots, hold, now),
    );
    for (const one of opened) claimed(one);
  }

  /** Finds the job that cannot be opened, and fails it alone (G12). */
  async #claimOneByOne(runnerId: string, limit: number): Promise<void> {
    const { db, writes, logger, clock } = this.deps;
    for (const job of await nextQueuedJobs(db.sql, runnerId, limit)) {
      try {
        await this.#open(async () => [job]);
      } catch (error) {
        logger.error("a job cannot be opened", { jobId: job.id, error });
        const now = clock();
        const why = new Error("an internal error; Maia's log says which");
        await writes.patiently((tx) => refuseJob(tx, job, why, now));
      }
    }
  }
}
