import { DAY } from "@maia/domain";
import { toDbTime } from "./time.js";
import type { Sql, Tx } from "./types.js";

/** Rows of gateways that ended without a word are kept so long: their counters stand still, so they say nothing. */
const FORGET_AFTER_MS = DAY;

/** True while there are instances that may be heard of or fall silent. */
export async function hasInstances(sql: Sql): Promise<boolean> {
  return (await sql.get(`SELECT 1 AS "one" FROM "RunnerInstance" WHERE "stoppedAt" IS NULL LIMIT 1`)) !== undefined;
}

/** Moves the counter of a gateway, and makes it known at its first beat. */
export async function beatGateway(tx: Tx, id: string, now: Date): Promise<void> {
  const at = toDbTime(now);
  const changed = await tx.sql.run(
    `UPDATE "Gateway" SET "heartbeatSeq" = "heartbeatSeq" + 1, "beatAt" = ? WHERE "id" = ?`,
    at,
    id,
  );
  if (changed === 1) return;
  await tx.sql.run(`INSERT INTO "Gateway" ("id", "heartbeatSeq", "beatAt") VALUES (?, 1, ?)`, id, at);
  await tx.sql.run(`DELETE FROM "Gateway" WHERE "beatAt" < ?`, toDbTime(new Date(now.getTime() - FORGET_AFTER_MS)));
}

/** Forgets a gateway that stops. */
export async function endGateway(tx: Tx, id: string): Promise<void> {
  await tx.sql.run(`DELETE FROM "Gateway" WHERE "id" = ?`, id);
}

/** The gateways and their counters. */
export function gatewayBeats(sql: Sql): Promise<{ id: string; heartbeatSeq: number }[]> {
  return sql.all(`SELECT "id", "heartbeatSeq" FROM "Gateway"`);
}
