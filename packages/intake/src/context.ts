import type { Db } from "@maia/db";
import type { SchemaWorker } from "@maia/schema";

/** What intake works with. */
export interface IntakeContext {
  readonly db: Db;
  /** Runs the users' JSON Schemas within bounds. */
  readonly schemas: SchemaWorker;
  /** How long an Idempotency-Key is remembered, in milliseconds. */
  readonly idempotencyTtlMs: number;
}

/** On whose behalf something is taken in. */
export interface Caller {
  /** Whose idempotency keys count; also who is noted as the one who asked. */
  readonly principal: string;
  /** Ids of the projects that the caller may use; null: all. */
  readonly projects: readonly string[] | null;
}
