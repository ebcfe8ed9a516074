import { cancelRequests, type Db, nextRetries } from "@maia/db";
import type { Clock } from "@maia/domain";
import { runWaitMs } from "./advance.js";
import type { InHand } from "./flights.js";
import type { SteadyTimes } from "./steady-times.js";

export interface DueRunsDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly times: SteadyTimes;
  readonly engineId: () => string;
  /** The runs in hand. */
  readonly runs: () => Iterable<InHand>;
  /** Asks for a look in so many milliseconds. */
  readonly wakeAt: (ms: number) => void;
}

/** Which of our runs have to be looked at: they are to be canceled, a retry of theirs is due, or they took too long. */
export class DueRuns {
  constructor(private readonly deps: DueRunsDeps) {}

  async find(): Promise<Set<string>> {
    const { db, engineId } = this.deps;
    const canceled = await cancelRequests(db, engineId());
    return new Set([...canceled, ...(await this.#retries()), ...this.#late()]);
  }

  /** Sees to it that a run is looked at when it has taken too long. @returns true if that is now. */
  watch({ run, version }: InHand): boolean {
    const { clock, times, wakeAt } = this.deps;
    const waitMs = runWaitMs(times, run, version, clock());
    if (waitMs !== null && waitMs > 0) wakeAt(waitMs);
    return waitMs !== null && waitMs <= 0;
  }

  #late(): string[] {
    return [...this.deps.runs()].filter((inHand) => this.watch(inHand)).map(({ run }) => run.id);
  }

  async #retries(): Promise<string[]> {
    const { db, engineId, clock, times, wakeAt } = this.deps;
    const now = clock();
    const due: string[] = [];
    for (const { runId, stepKey, nextAttemptAt } of await nextRetries(db, engineId())) {
      const until = new Date(nextAttemptAt);
      // A time that cannot be read is for the run's own advance to stumble over, which sets that run aside alone.
      const waitMs = Number.isNaN(until.getTime()) ? 0 : times.waitMs(runId, stepKey, until, now);
      if (waitMs <= 0) due.push(runId);
      else wakeAt(waitMs);
    }
    return due;
  }
}
