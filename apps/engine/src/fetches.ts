import type { Db, OwnedRun } from "@maia/db";
import type { Clock } from "@maia/domain";
import type { InHand } from "./flights.js";
import { fetchInput, type InputFetcher } from "./inputs.js";
import type { Writes } from "./writes.js";

export interface FetchesDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly writes: Writes;
  readonly fetcher: InputFetcher;
  readonly stopped: AbortSignal;
  /** Told of a run one of whose files has been settled. */
  readonly settled: (run: OwnedRun) => Promise<void>;
  /** Told of a run whose file could not be settled. */
  readonly broken: (run: OwnedRun, error: unknown) => Promise<void>;
}

/** The downloads of input files that are under way, each once for each ownership of its run. */
export class Fetches {
  readonly #underWay = new Set<string>();

  constructor(private readonly deps: FetchesDeps) {}

  /** Downloads a file of a run in hand, unless that is under way already. */
  async start({ run }: InHand, fileId: string): Promise<void> {
    const { db, clock, writes, fetcher, stopped, settled, broken } = this.deps;
    const key = `${fileId}@${run.epoch}`;
    if (this.#underWay.has(key)) return;
    this.#underWay.add(key);
    try {
      const settle = await fetchInput(fetcher, db, run, fileId, stopped);
      const now = clock();
      if (settle) await writes.patiently((tx) => settle(tx, now));
      if (!stopped.aborted) await settled(run);
    } catch (error) {
      await broken(run, error);
    } finally {
      this.#underWay.delete(key);
    }
  }
}
