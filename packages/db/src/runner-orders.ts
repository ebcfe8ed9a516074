import { type JsonObject, newId } from "@maia/domain";
import { fromDbTime, toDbTime } from "./time.js";
import type { Sql, Tx } from "./types.js";

/** An instance that can be talked to. */
export interface LiveInstance {
  readonly id: string;
  /** JSON array of strings. */
  readonly capabilities: string;
  readonly stoppingAt: string | null;
}

/** The instances of a runner that can be talked to, the newest first. */
export function liveInstances(sql: Sql, runnerId: string): Promise<LiveInstance[]> {
  return sql.all(
    `SELECT "id", "capabilities", "stoppingAt" FROM "RunnerInstance"
     WHERE "runnerId" = ? AND "silentAt" IS NULL AND "stoppedAt" IS NULL ORDER BY "helloAt" DESC, "id" DESC`,
    runnerId,
  );
}

/** Gives an instance something to do; it takes it with its next poll. */
export async function insertOrder(
  tx: Tx,
  runnerId: string,
  instanceId: string,
  order: { readonly type: "STOP" | "RESTART" | "CONNECTIVITY"; readonly data?: JsonObject },
  now: Date,
): Promise<string> {
  const id = newId("command", now);
  await tx.sql.run(
    `INSERT INTO "RunnerCommand" ("id", "runnerId", "instanceId", "type", "data", "createdAt") VALUES (?, ?, ?, ?, ?, ?)`,
    ...[id, runnerId, instanceId, order.type, JSON.stringify(order.data ?? {}), toDbTime(now)],
  );
  tx.ring("engine"); // the gateway listens to the same bell
  return id;
}

/** Has every live instance of a runner end: it gets no new tasks from now on. One that was told so already is not told again. */
export async function endInstances(
  tx: Tx,
  runnerId: string,
  type: "STOP" | "RESTART",
  now: Date,
): Promise<{ readonly live: number; readonly told: number }> {
  const live = await liveInstances(tx.sql, runnerId);
  let told = 0;
  for (const { id, stoppingAt } of live) {
    if (stoppingAt !== null && (await lastEnding(tx.sql, id, stoppingAt)) === type) continue;
    await insertOrder(tx, runnerId, id, { type }, now);
    const text = `UPDATE "RunnerInstance" SET "stoppingAt" = COALESCE("stoppingAt", ?) WHERE "id" = ?`;
    await tx.sql.run(text, toDbTime(now), id);
    told += 1;
  }
  return { live: live.length, told };
}

/** What an instance that is ending was told last; undefined where it ends by itself. */
async function lastEnding(sql: Sql, instanceId: string, since: string): Promise<string | undefined> {
  const row = await sql.get<{ type: string }>(
    `SELECT "type" FROM "RunnerCommand" WHERE "instanceId" = ? AND "type" IN ('STOP', 'RESTART') AND "createdAt" >= ? ORDER BY "id" DESC LIMIT 1`,
    instanceId,
    since,
  );
  return row?.type;
}

/** What came of an order: JSON text. Null: nothing yet. */
export async function orderResult(
  sql: Sql,
  id: string,
): Promise<{ readonly result: string | null; readonly finishedAt: Date | null } | null> {
  const row = await sql.get<{ result: string | null; finishedAt: string | null }>(
    `SELECT "result", "finishedAt" FROM "RunnerCommand" WHERE "id" = ?`,
    id,
  );
  return row ? { result: row.result, finishedAt: fromDbTime(row.finishedAt) } : null;
}

/** Takes an order back that nobody waits for any more, unless an instance has it already. */
export async function dropOrder(tx: Tx, id: string, now: Date): Promise<void> {
  const text = `UPDATE "RunnerCommand" SET "takenAt" = COALESCE("takenAt", ?), "finishedAt" = COALESCE("finishedAt", ?) WHERE "id" = ?`;
  await tx.sql.run(text, toDbTime(now), toDbTime(now), id);
}
