import { type Db, moveJob, queueDeadlines } from "@maia/db";
import type { Clock, FailureFacts } from "@maia/domain";
import type { Monotonic } from "./lease.js";
import { SteadyTimes } from "./steady-times.js";
import type { Writes } from "./writes.js";

export interface QueueWatchDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly monotonic: Monotonic;
  readonly writes: Writes;
}

/** Deadlines that are looked at in one round. */
const MOST = 100;

/** Fails jobs that nobody has claimed in the time that their workflow gives them. */
export class QueueWatch {
  readonly #times: SteadyTimes;

  constructor(private readonly deps: QueueWatchDeps) {
    this.#times = new SteadyTimes(deps.monotonic);
  }

  /** Fails those that are late. @returns how long until the next one will be, in milliseconds; null: none will. */
  async expire(): Promise<number | null> {
    const { db, clock, writes } = this.deps;
    const jobs = await queueDeadlines(db.sql, MOST);
    const now = clock();
    this.#times.keepOnly(new Set(jobs.map(({ id }) => id)));
    let nextMs: number | null = null;
    for (const job of jobs) {
      const waitMs = this.#times.waitMs(job.id, "queue", new Date(job.queueDeadline), now);
      if (waitMs <= 0) await writes.patiently((tx) => moveJob(tx, job, "refuse", now, { failure: LATE }));
      else nextMs = Math.min(waitMs, nextMs ?? waitMs);
    }
    return nextMs;
  }
}

const LATE: FailureFacts = {
  code: "QUEUE_TIMEOUT",
  message: "No engine had room for the job within the workflow's queueTimeoutMs",
};
