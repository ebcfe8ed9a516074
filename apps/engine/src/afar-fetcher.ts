import {
  bindStore,
  createRunnerCommand,
  type Db,
  forgetCommand,
  newestPause,
  type OwnedRun,
  readCommand,
  readInstance,
  readRooms,
  type Tx,
} from "@maia/db";
import { type Clock, chooseKeeper, isPaused, isSha256 } from "@maia/domain";
import type { Constants } from "@maia/service";
import type { FetchedBlob } from "./fetches.js";
import { pause } from "./pause.js";
import { refusalOf, storeNeedOf } from "./placing.js";
import type { Writes } from "./writes.js";

export interface AfarFetcherDeps {
  readonly db: Db;
  readonly writes: Writes;
  readonly clock: Clock;
  readonly constants: Constants;
}

/** An instance that was asked to fetch something. */
interface Asked {
  readonly commandId: string;
  readonly instanceId: string;
  readonly generation: number;
  readonly storeId: string;
}

/** How often we look although nobody has rung. In milliseconds. */
const LOOK_EVERY_MS = 1_000;
/** How much longer than the download itself its result may take. In milliseconds. */
const MARGIN_MS = 30_000;

/** Has the runner of a run bring a file into its own store, as Maia itself would bring it into hers. */
export class AfarFetcher {
  constructor(private readonly deps: AfarFetcherDeps) {}

  /** Waits for an instance that can, and asks the next one where one goes away. @throws with a reason that a user can act on. */
  async fetch(run: OwnedRun, url: string, signal: AbortSignal): Promise<FetchedBlob> {
    for (;;) {
      signal.throwIfAborted();
      const asked = await this.deps.writes.patiently((tx) => this.#ask(tx, run, url));
      const result = asked && (await this.#resultOf(asked, signal));
      if (result) return { ...readResult(result), keptBy: { storeId: asked.storeId, runnerId: run.runnerId } };
      if (!asked) await this.#rung(signal);
    }
  }

  /** Asks an instance, and binds the run to its store. Null: there is none that can now. */
  async #ask(tx: Tx, run: OwnedRun, url: string): Promise<Asked | null> {
    const { clock, constants } = this.deps;
    const now = clock();
    const refused = await refusalOf(tx.sql, run);
    if (refused) throw new Error(refused.failure?.message ?? "the runner may not be used any more");
    if (isPaused(await newestPause(tx.sql, run.runnerId), constants.pauseAutoResumeMs, now)) return null;
    const need = (await storeNeedOf(tx.sql, run)) ?? { storeId: null };
    const instance = chooseKeeper(await readRooms(tx.sql, run.runnerId), need);
    if (!instance?.storeId) return null;
    const { id: instanceId, storeId } = instance;
    await bindStore(tx, run, storeId);
    const { generation } = (await readInstance(tx.sql, instanceId))!;
    const data = { storeId, url, ...limitsOf(constants) };
    const commandId = await createRunnerCommand(tx, { runnerId: run.runnerId, instanceId, type: "FETCH", data }, now);
    return { commandId, instanceId, generation, storeId };
  }

  /** What came of it, as JSON. Null: the instance is gone, so that another one is to be asked. */
  async #resultOf({ commandId, instanceId, generation }: Asked, signal: AbortSignal): Promise<string | null> {
    const { db, writes, constants } = this.deps;
    const patienceMs = longestMs(constants) + MARGIN_MS;
    const until = performance.now() + patienceMs;
    try {
      for (;;) {
        const rung = this.#rung(signal); // listen before looking
        const command = await readCommand(db.sql, commandId);
        if (!command || command.finishedAt) return command?.result ?? null;
        const instance = await readInstance(db.sql, instanceId);
        if (!instance || instance.generation !== generation || instance.silentAt || instance.stoppedAt) return null;
        if (performance.now() > until) throw new Error(`the runner has not brought it within ${patienceMs} ms`);
        await rung;
        signal.throwIfAborted();
      }
    } finally {
      if (!signal.aborted) await writes.patiently((tx) => forgetCommand(tx, commandId));
    }
  }

  async #rung(signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    const either = AbortSignal.any([over.signal, signal]);
    await Promise.race([this.deps.db.bell("engine").next(either), pause(LOOK_EVERY_MS, either)]);
    over.abort();
  }
}

function limitsOf({ urlWireMax, urlTotalMs, urlRedirectsMax, urlRetries, urlRetryMs }: Constants) {
  const retryMs = Array.from({ length: urlRetries }, (_, no) => urlRetryMs * 2 ** no);
  return { wireMax: urlWireMax, totalMs: urlTotalMs, redirectsMax: urlRedirectsMax, retryMs };
}

function longestMs(constants: Constants): number {
  const { totalMs, retryMs } = limitsOf(constants);
  return totalMs + retryMs.reduce((sum, ms) => sum + ms, 0);
}

/** @throws where the runner could not bring the file. */
function readResult(text: string): FetchedBlob {
  const { sha256, sizeBytes, mime, error } = JSON.parse(text) as { readonly [name: string]: unknown };
  if (typeof error === "string") throw new Error(error);
  if (
    typeof sha256 === "string" &&
    isSha256(sha256) &&
    Number.isSafeInteger(sizeBytes) &&
    (sizeBytes as number) >= 0 &&
    typeof mime === "string"
  )
    return { sha256, sizeBytes: sizeBytes as number, mime };
  throw new Error("what the runner says of it makes no sense");
}
