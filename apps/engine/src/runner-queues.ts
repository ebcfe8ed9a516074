import { type Db, newestPause, openTransactionRuns, readGate } from "@maia/db";
import { type Clock, hasStore, resumedAt, type StoreNeed } from "@maia/domain";
import { roomyInstances } from "./afar.js";
import type { Waiting } from "./opening.js";

interface QueuedRun {
  /** When its steps are given up, if ever. */
  readonly until: Date | null;
  /** What they need of the instance that they go to. */
  readonly need: StoreNeed | null;
}

export interface RunnerQueuesDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly autoResumeMs: number;
  readonly wakeAt: (ms: number) => void;
}

/** Our runs with steps that wait for their runner, in the order in which they came; per runner. */
export class RunnerQueues {
  readonly #queues = new Map<string, Map<string, QueuedRun>>();
  /** Whether each runner was there and when it was resumed, when we last looked: a change concerns all that wait for it. */
  readonly #rules = new Map<string, string>();

  constructor(private readonly deps: RunnerQueuesDeps) {}

  /** Notes how a run stands after it was advanced. */
  note(runId: string, runnerId: string, { forRunner, until, need }: Waiting): void {
    if (!forRunner) {
      this.drop(runId);
      return;
    }
    const queue = this.#queues.get(runnerId) ?? new Map<string, QueuedRun>();
    this.#queues.set(runnerId, queue.set(runId, { until, need }));
    if (until) this.deps.wakeAt(until.getTime() - this.deps.clock().getTime());
  }

  drop(runId: string): void {
    for (const [runnerId, queue] of this.#queues) {
      queue.delete(runId);
      if (queue.size === 0) this.#queues.delete(runnerId);
    }
  }

  /** The runs for which there may be something to do: room on their runner, other rules, an open transaction, or time is up. */
  async due(): Promise<string[]> {
    const due: string[] = [];
    for (const [runnerId, queue] of this.#queues) due.push(...(await this.#dueOf(runnerId, queue)));
    return due;
  }

  async #dueOf(runnerId: string, queue: ReadonlyMap<string, QueuedRun>): Promise<string[]> {
    const { db, clock } = this.deps;
    const now = clock();
    if (await this.#hasChanged(runnerId, now)) return [...queue.keys()];
    const roomy = await roomyInstances(db, runnerId);
    const room = roomy.reduce((sum, { slots, bound }) => sum + slots - bound, 0);
    // Whoever waits for data that is not there now must not hold up those behind.
    const able = [...queue].filter(([, { need }]) => roomy.some((instance) => hasStore(instance, need)));
    const first = able.slice(0, room).map(([runId]) => runId);
    const open = (await openTransactionRuns(db.sql, runnerId)).filter((runId) => queue.has(runId));
    const late = [...queue].filter(([, { until }]) => until && until <= now).map(([runId]) => runId);
    return [...first, ...open, ...late];
  }

  async #hasChanged(runnerId: string, now: Date): Promise<boolean> {
    const { db, autoResumeMs } = this.deps;
    const [gate, pause] = [await readGate(db.sql, runnerId), await newestPause(db.sql, runnerId)];
    const resumed = pause && resumedAt(pause, autoResumeMs, now);
    const rules = JSON.stringify([gate ?? null, pause?.id ?? null, resumed !== null]);
    const isSame = this.#rules.get(runnerId) === rules;
    this.#rules.set(runnerId, rules);
    return !isSame;
  }
}
