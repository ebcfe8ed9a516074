import { createRunnerCommand } from "./runner-commands.js";
import { toDbTime } from "./time.js";
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

/** The live instances of a runner that have a store, the one that was heard of last first. */
export function storeHolders(
  sql: Sql,
  { runnerId, storeId }: { readonly runnerId: string; readonly storeId: string },
): Promise<{ readonly id: string; readonly generation: number }[]> {
  return sql.all(
    `SELECT "id", "generation" FROM "RunnerInstance" WHERE "runnerId" = ? AND "storeId" = ? AND "silentAt" IS NULL AND "stoppedAt" IS NULL
     ORDER BY "lastSeenAt" DESC, "id" DESC`,
    runnerId,
    storeId,
  );
}

/**
 * Has every instance of a runner end that has not said goodbye. One that nothing is heard of is told when it polls again; a
 * process that says hello in its place was not meant. One that was told so already is not told again.
 */
export async function endInstances(
  tx: Tx,
  runnerId: string,
  type: "STOP" | "RESTART",
  now: Date,
): Promise<{ readonly there: number; readonly told: number }> {
  const there = await tx.sql.all<{ id: string; stoppingAt: string | null }>(
    `SELECT "id", "stoppingAt" FROM "RunnerInstance" WHERE "runnerId" = ? AND "stoppedAt" IS NULL ORDER BY "id"`,
    runnerId,
  );
  let told = 0;
  for (const { id: instanceId, stoppingAt } of there) {
    if (stoppingAt !== null && (await lastEnding(tx.sql, instanceId, stoppingAt)) === type) continue;
    await withdrawEndings(tx, instanceId, now); // the last word counts
    await createRunnerCommand(tx, { runnerId, instanceId, type }, now);
    told += 1;
  }
  return { there: there.length, told };
}

async function withdrawEndings({ sql }: Tx, instanceId: string, now: Date): Promise<void> {
  const text = `UPDATE "RunnerCommand" SET "takenAt" = ?, "finishedAt" = ? WHERE "instanceId" = ? AND "type" IN ('STOP', 'RESTART') AND "takenAt" IS NULL`;
  await sql.run(text, toDbTime(now), toDbTime(now), instanceId);
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

/** Forgets a command that is over, and of which nothing is to be told later. */
export async function forgetCommand({ sql }: Tx, id: string): Promise<void> {
  await sql.run(`DELETE FROM "RunnerCommand" WHERE "id" = ?`, id);
}

/** Takes a command back whose result nobody waits for any more, unless an instance has it already. */
export async function dropCommand(tx: Tx, id: string, now: Date): Promise<void> {
  const text = `UPDATE "RunnerCommand" SET "takenAt" = COALESCE("takenAt", ?), "finishedAt" = COALESCE("finishedAt", ?) WHERE "id" = ?`;
  await tx.sql.run(text, toDbTime(now), toDbTime(now), id);
}
