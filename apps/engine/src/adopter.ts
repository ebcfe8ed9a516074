import { adoptRuns, type OwnedRun } from "@maia/db";
import type { Logger } from "@maia/service";
import type { Writes } from "./writes.js";

export interface AdopterDeps {
  readonly writes: Writes;
  readonly logger: Logger;
  readonly engineId: () => string;
  /** How many runs more may be taken in hand; null: none will be, the engine is stopping. */
  readonly room: () => number | null;
  /** Takes a run in hand that is ours now. */
  readonly take: (run: OwnedRun) => Promise<void>;
}

/** Takes over runs whose engine has ended, as far as there is room. */
export class Adopter {
  /** True while such runs may wait for room here. */
  #someWait = false;
  #adopting: Promise<void> = Promise.resolve();

  constructor(private readonly deps: AdopterDeps) {}

  /** Adopts what there is room for; one call after another. */
  adopt(): Promise<void> {
    this.#adopting = this.#adopting.catch(() => {}).then(() => this.#adoptNow());
    return this.#adopting;
  }

  /** Lets runs that have begun go before jobs that have not: to be awaited before any are claimed. */
  first(): Promise<void> {
    return this.#someWait ? this.adopt() : this.#adopting.catch(() => {});
  }

  async #adoptNow(): Promise<void> {
    const { writes, logger, engineId, take } = this.deps;
    const room = this.deps.room();
    if (room === null) return;
    if (room <= 0) {
      this.#someWait = true; // perhaps; whoever makes room looks
      return;
    }
    const runs = await writes.patiently((tx) => adoptRuns(tx, engineId(), room));
    this.#someWait = runs.length === room;
    if (runs.length > 0) logger.info("adopted runs of an engine that ended", { runs: runs.length });
    for (const run of runs) await take(run);
  }
}
