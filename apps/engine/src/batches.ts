import {
  type BatchRow,
  type BatchUnderWay,
  batchesUnderWay,
  type Db,
  giveUpBatch,
  moveCursor,
  readBatchFacts,
  settleBatch,
  type Tx,
} from "@maia/db";
import { type Clock, newId, planBatch } from "@maia/domain";
import { type JobRules, jobRulesOf, type StorableJob, type StoredItem, storeJob } from "@maia/intake";
import type { Logger } from "@maia/service";
import type { BlobStore } from "@maia/storage";
import { ItemsAhead } from "./items-ahead.js";
import type { Writes } from "./writes.js";

export interface BatchesDeps {
  readonly db: Db;
  readonly blobs: BlobStore;
  readonly writes: Writes;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Carries batches on: opens their rows as jobs as far as each may have them, stops and ends them. Everything it knows it
 * reads anew, so that any engine may do any part of it.
 */
export class Batches {
  readonly #items: ItemsAhead;

  constructor(private readonly deps: BatchesDeps) {
    this.#items = new ItemsAhead(deps.blobs);
  }

  /** Does for each batch what is to be done now. One that cannot be carried on holds up no other (G12). */
  async tick(): Promise<void> {
    const batches = await batchesUnderWay(this.deps.db.sql);
    this.#items.keepOnly(batches.map(({ id }) => id));
    await Promise.all(batches.map((batch) => this.#carryOnSafely(batch)));
  }

  async #carryOnSafely(batch: BatchUnderWay): Promise<void> {
    try {
      await this.#carryOn(batch);
    } catch (error) {
      this.deps.logger.error("a batch could not be carried on", { batchId: batch.id, error });
    }
  }

  /** What is read here may have changed by the time of the write, which looks again. */
  async #carryOn(batch: BatchUnderWay): Promise<void> {
    const { db, writes, clock } = this.deps;
    const action = planBatch(await readBatchFacts(db.sql, batch));
    if (action?.do === "open") await this.#open(batch, action.count);
    else if (action) await writes.patiently((tx) => settleBatch(tx, batch.id, clock()));
  }

  /** Opens rows: their jobs, their events and the batch's cursor in one write, so that no row is opened twice (G4). */
  async #open(batch: BatchRow, count: number): Promise<void> {
    const { db, writes, clock } = this.deps;
    const items = await this.#read(batch, count);
    if (!items) return;
    const rules = await jobRulesOf(db.sql, batch.workflowVersionId);
    const now = clock();
    await writes.patiently((tx) => openItems(tx, batch, rules, items, now));
  }

  /** The items that are next. Null: they are not there, so the batch was given up. */
  async #read(batch: BatchRow, count: number): Promise<readonly StoredItem[] | null> {
    const { logger, writes, clock } = this.deps;
    try {
      return await this.#items.next(batch, count);
    } catch (error) {
      logger.error("the items of a batch cannot be read; it is given up", { batchId: batch.id, error });
      const failure = { code: "INTERNAL" as const, message: "The items of the batch can no longer be read" };
      await writes.patiently(async (tx) => {
        await giveUpBatch(tx, batch.id, failure);
        await settleBatch(tx, batch.id, clock());
      });
      return null;
    }
  }
}

async function openItems(
  tx: Tx,
  batch: BatchRow,
  rules: JobRules,
  items: readonly StoredItem[],
  now: Date,
): Promise<void> {
  const bytes = items.reduce((sum, item) => sum + item.bytes, 0);
  if (!(await moveCursor(tx, batch, items.length, bytes))) return; // another engine was faster, or it is held
  for (const [at, item] of items.entries()) {
    const cause = { trigger: "batch" as const, requestedBy: batch.requestedBy ?? "", batchId: batch.id };
    await storeJob(tx, newId("job", now), jobOf(batch, rules, item), { ...cause, itemIndex: batch.cursor + at }, now);
  }
}

function jobOf(batch: BatchRow, { queueTimeoutMs }: JobRules, { params, files, urlFiles }: StoredItem): StorableJob {
  const { projectId, workflowId, workflowVersionId: versionId, environmentId, runnerId, priority } = batch;
  const target = { projectId, workflowId, versionId, environmentId, runnerId, queueTimeoutMs };
  return { target, request: { files, urlFiles, priority, labels: JSON.parse(batch.labels) }, params, files };
}
