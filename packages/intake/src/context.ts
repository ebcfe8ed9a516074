import type { Db, Tx } from "@maia/db";
import type { SchemaWorker } from "@maia/schema";
import type { BlobStore } from "@maia/storage";

/** What intake works with. */
export interface IntakeContext {
  readonly db: Db;
  /** Runs the users' JSON Schemas within bounds. */
  readonly schemas: SchemaWorker;
  /** How long an Idempotency-Key is remembered, in milliseconds. */
  readonly idempotencyTtlMs: number;
}

/** What intake works with where it takes in batches. */
export interface BatchContext extends IntakeContext {
  readonly blobs: BlobStore;
  /** Most items of one batch. */
  readonly itemsMax: number;
  /** Reads a line of JSON as strictly as a request's body. @throws {MaiaError} */
  readonly parseJson: (text: string) => unknown;
}

/** On whose behalf something is taken in. */
export interface Caller {
  /** Whose idempotency keys count; also who is noted as the one who asked. */
  readonly principal: string;
  /** Ids of the projects that the caller may use; null: all. */
  readonly projects: readonly string[] | null;
  /** Told the id of what is made, in the transaction that makes it. Not where it had been made before. */
  readonly onMade?: (tx: Tx, id: string) => Promise<void>;
}
