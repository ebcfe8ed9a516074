import type { PoolLoad } from "@maia/domain";
import { readRooms } from "./placement.js";
import type { RunnerRow } from "./projects.js";
import { replaceSecret, type StoredClientSecret } from "./runners.js";
import { toDbTime } from "./time.js";
import type { Db, Sql, Tx } from "./types.js";

/** True where the engines themselves are the runner. With a pool the hosted runner has credentials and instances. */
export function isEnginesOwn({ platform, secretHash }: Pick<RunnerRow, "platform" | "secretHash">): boolean {
  return platform === "hosted" && secretHash === null;
}

/** The work of a runner, and its live instances. */
export interface PoolSight extends Omit<PoolLoad, "slots"> {
  readonly instances: readonly { readonly id: string; readonly ledgerId: string; readonly isStopping: boolean }[];
}

export async function sightOfPool(sql: Sql, runnerId: string): Promise<PoolSight> {
  const rooms = await readRooms(sql, runnerId);
  const waiting = await sql.get<{ count: number }>(
    `SELECT (SELECT COUNT(*) FROM "RunStep" WHERE "queuedFor" = ?)
       + (SELECT COUNT(*) FROM "JobRun" WHERE "status" = 'QUEUED' AND "runnerId" = ?) AS "count"`,
    runnerId,
    runnerId,
  );
  const live = rooms.filter(({ silentAt }) => silentAt === null);
  return {
    inFlight: live.reduce((sum, { bound }) => sum + bound, 0),
    queued: waiting?.count ?? 0,
    instances: live.map(({ id, ledgerId, stoppingAt }) => ({ id, ledgerId, isStopping: stoppingAt !== null })),
  };
}

/** Gives the hosted runner its pool's credentials. False: somebody else was faster. */
export async function openPool(tx: Tx, runner: RunnerRow, secret: StoredClientSecret, now: Date): Promise<boolean> {
  const text = `SELECT 1 AS "one" FROM "Runner" WHERE "id" = ? AND "secretVersion" = ?`;
  if (!(await tx.sql.get(text, runner.id, runner.secretVersion))) return false;
  await replaceSecret(tx, runner.id, secret, now);
  return true;
}

/** Makes the hosted runner the engines' own again: what its instances had in hand has nobody any more. */
export async function retirePool(db: Db, runner: RunnerRow, now: Date): Promise<void> {
  if (isEnginesOwn(runner)) return;
  const at = toDbTime(now);
  await db.write(async (tx) => {
    await tx.sql.run(
      `UPDATE "Runner" SET "secretHash" = NULL, "secretSealed" = NULL, "secretKeyId" = NULL, "secretVersion" = "secretVersion" + 1, "updatedAt" = ? WHERE "id" = ?`,
      at,
      runner.id,
    );
    await tx.sql.run(
      `UPDATE "RunnerInstance" SET "stoppedAt" = ? WHERE "runnerId" = ? AND "stoppedAt" IS NULL`,
      at,
      runner.id,
    );
    tx.ring("engine");
  });
}
