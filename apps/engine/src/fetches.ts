import { type Db, findFetchingFile, type KeptBy, type OwnedRun, settleInputFile, tellInputProgress } from "@maia/db";
import type { Clock } from "@maia/domain";
import type { Logger } from "@maia/service";
import { FairQueue } from "./fair-queue.js";
import type { InHand } from "./flights.js";
import type { Writes } from "./writes.js";

export interface FetchedBlob {
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly mime: string;
  /** The store of a runner that has the bytes; left out: Maia has them. */
  readonly keptBy?: KeptBy;
}

/** Brings the bytes behind a URL to where a run's data stays. @throws with a reason that a user can act on. */
export type RunFetcher = (run: OwnedRun, ...what: Parameters<InputFetcher>) => Promise<FetchedBlob>;

/** Brings the bytes behind a URL into the blob store. @throws with a reason that a user can act on. */
export type InputFetcher = (
  url: string,
  signal: AbortSignal,
  progress: (receivedBytes: number, totalBytes: number | null) => void,
) => Promise<FetchedBlob>;

export interface FetchesDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly writes: Writes;
  readonly fetcher: RunFetcher;
  /** How many downloads go on at once: of Maia, and of each runner that keeps data. */
  readonly concurrency: number;
  readonly stopped: AbortSignal;
  /** Told of a run one of whose files has been settled. */
  readonly settled: (run: OwnedRun) => Promise<void>;
  /** Told of a run whose file could not be settled. */
  readonly broken: (run: OwnedRun, error: unknown) => Promise<void>;
}

/** Between two events about the progress of one file, in milliseconds. */
const TELL_MS = 1_000;

interface Fetch {
  readonly key: string;
  readonly run: OwnedRun;
  readonly fileId: string;
  readonly stop: AbortController;
}

/** Downloads that go on side by side, whose number is bounded: a runner that is away holds up its own only. */
class Lane {
  readonly waiting = new FairQueue<Fetch>();
  active = 0;
}

/** The downloads of input files: so many at once, runs by turns, each file once for each ownership of its run. */
export class Fetches {
  readonly #wanted = new Map<string, Fetch>();
  readonly #lanes = new Map<string, Lane>();

  constructor(private readonly deps: FetchesDeps) {}

  /** Downloads a file of a run in hand when its turn comes, unless that is under way already. */
  start({ run }: InHand, fileId: string): void {
    const fetch = { key: `${fileId}@${run.epoch}`, run, fileId, stop: new AbortController() };
    if (this.#wanted.has(fetch.key)) return;
    this.#wanted.set(fetch.key, fetch);
    const name = laneOf(run);
    const lane = this.#lanes.get(name) ?? new Lane();
    this.#lanes.set(name, lane);
    lane.waiting.push(run.id, fetch);
    this.#pump(name, lane);
  }

  /** Calls off what a run that has ended, or is somebody else's, still waits for. */
  stop(runId: string): void {
    for (const { waiting } of this.#lanes.values()) for (const { key } of waiting.drop(runId)) this.#wanted.delete(key);
    for (const fetch of this.#wanted.values()) if (fetch.run.id === runId) fetch.stop.abort();
  }

  #pump(name: string, lane: Lane): void {
    const { concurrency, stopped, logger } = this.deps;
    while (lane.active < concurrency && !stopped.aborted) {
      const fetch = lane.waiting.next();
      if (!fetch) break;
      lane.active += 1;
      this.#carryOut(fetch)
        .catch((error: unknown) => logger.error("a run could not be set aside", { runId: fetch.run.id, error }))
        .finally(() => {
          lane.active -= 1;
          this.#wanted.delete(fetch.key);
          this.#pump(name, lane);
        });
    }
    if (lane.active === 0 && this.#lanes.get(name) === lane) this.#lanes.delete(name);
  }

  async #carryOut({ run, fileId, stop }: Fetch): Promise<void> {
    const { stopped, settled, broken } = this.deps;
    const signal = AbortSignal.any([stop.signal, stopped]);
    try {
      await this.#bring(run, fileId, signal);
      if (!signal.aborted) await settled(run);
    } catch (error) {
      if (!signal.aborted) await broken(run, error);
    }
  }

  async #bring(run: OwnedRun, fileId: string, signal: AbortSignal): Promise<void> {
    const { db, writes, clock, fetcher } = this.deps;
    const file = await findFetchingFile(db, fileId);
    if (!file || signal.aborted) return;
    let toldAt = performance.now();
    const progress = (receivedBytes: number, totalBytes: number | null) => {
      if (performance.now() - toldAt < TELL_MS) return;
      toldAt = performance.now();
      const told = db.write((tx) => tellInputProgress(tx, run, file, { receivedBytes, totalBytes }, clock()));
      told.catch((error: unknown) => this.deps.logger.warn("a download's progress could not be told", { error }));
    };
    const outcome = await fetcher(run, file.url, signal, progress).then(
      (blob) => ({ blob }),
      (error: unknown) => ({ error: `${file.url}: ${error instanceof Error ? error.message : String(error)}` }),
    );
    if (signal.aborted) return;
    const now = clock();
    await writes.patiently((tx) => settleInputFile(tx, run, file, outcome, now));
  }
}

/** Maia's own lane, or that of the runner at which the run's data stays. */
function laneOf({ dataResidency, runnerId }: OwnedRun): string {
  return dataResidency === "runner" ? runnerId : "";
}
