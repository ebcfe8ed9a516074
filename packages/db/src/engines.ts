import { toDbTime } from "./time.js";
import type { Db, Tx } from "./types.js";

/** An engine as others see it. */
export interface EngineBeat {
  readonly id: string;
  readonly bellId: string;
  readonly heartbeatSeq: number;
}

/** Makes an engine known. Its lease lasts while its counter moves. */
export async function registerEngine(tx: Tx, id: string, bellId: string, now: Date): Promise<void> {
  const text = `INSERT INTO "Engine" ("id", "bellId", "heartbeatSeq", "startedAt") VALUES (?, ?, 0, ?)`;
  await tx.sql.run(text, id, bellId, toDbTime(now));
}

/** Moves the counter. False: somebody has declared this engine dead, and its runs may have a new owner. */
export async function beatEngine(tx: Tx, id: string): Promise<boolean> {
  const text = `UPDATE "Engine" SET "heartbeatSeq" = "heartbeatSeq" + 1 WHERE "id" = ? AND "endedAt" IS NULL`;
  return (await tx.sql.run(text, id)) === 1;
}

/** True while nobody has declared this engine dead. */
export async function isEngineLive(tx: Tx, id: string): Promise<boolean> {
  return (await tx.sql.get(`SELECT 1 AS "one" FROM "Engine" WHERE "id" = ? AND "endedAt" IS NULL`, id)) !== undefined;
}

/** The engines that nobody has declared dead. */
export async function liveEngines(db: Db): Promise<EngineBeat[]> {
  return db.sql.all(`SELECT "id", "bellId", "heartbeatSeq" FROM "Engine" WHERE "endedAt" IS NULL`);
}

/**
 * Ends an engine's lease: its own goodbye, or the verdict of one that saw its counter stand still at `seenSeq`.
 * False: it moved meanwhile, or somebody was faster.
 */
export async function endEngine(tx: Tx, id: string, seenSeq: number | null, now: Date): Promise<boolean> {
  const text = `UPDATE "Engine" SET "endedAt" = ? WHERE "id" = ? AND "endedAt" IS NULL AND ("heartbeatSeq" = ? OR ? IS NULL)`;
  return (await tx.sql.run(text, toDbTime(now), id, seenSeq, seenSeq)) === 1;
}

/** Forgets engines that ended before `before` and own nothing any more. */
export async function forgetEngines(tx: Tx, before: Date): Promise<void> {
  const text = `DELETE FROM "Engine" WHERE "endedAt" < ? AND NOT EXISTS (
    SELECT 1 FROM "Run" WHERE "Run"."ownerId" = "Engine"."id" AND "Run"."status" IN ('PENDING_INPUTS', 'RUNNING'))`;
  await tx.sql.run(text, toDbTime(before));
}
