import { type AllowList, MaiaError, NOBODY, type RunnerDefinition } from "@maia/domain";
import { findRunner, type RunnerRow } from "./projects.js";
import { toDbTime } from "./time.js";
import type { Sql, Tx } from "./types.js";

/** A client secret as it is stored: a hash to check it by, and sealed for who may see it again. */
export interface StoredClientSecret {
  readonly secretHash: string;
  readonly secretSealed: string;
  readonly secretKeyId: string;
}

/** Makes a runner. @throws {MaiaError} STATE_CONFLICT where the name is taken. */
export async function insertRunner(
  tx: Tx,
  id: string,
  runner: RunnerDefinition,
  secret: StoredClientSecret,
  now: Date,
): Promise<void> {
  await requireFreeName(tx.sql, runner.name, id);
  const { name, description, type, platform, deployment, track, autoUpdate, restricted, config } = runner;
  await tx.sql.run(
    `INSERT INTO "Runner" ("id", "name", "description", "type", "platform", "deployment", "track", "autoUpdate", "restricted", "config",
       "secretHash", "secretSealed", "secretKeyId", "createdAt", "updatedAt") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ...[id, name, description, type, platform, deployment, track, Number(autoUpdate), Number(restricted)],
    JSON.stringify(config),
    ...[secret.secretHash, secret.secretSealed, secret.secretKeyId, toDbTime(now), toDbTime(now)],
  );
}

/** Stores what of a runner can change. @throws {MaiaError} STATE_CONFLICT where the name is taken. */
export async function updateRunner(tx: Tx, id: string, runner: RunnerDefinition, now: Date): Promise<void> {
  await requireFreeName(tx.sql, runner.name, id);
  const { name, description, track, autoUpdate, restricted, config } = runner;
  await tx.sql.run(
    `UPDATE "Runner" SET "name" = ?, "description" = ?, "track" = ?, "autoUpdate" = ?, "restricted" = ?, "config" = ?, "updatedAt" = ? WHERE "id" = ?`,
    ...[name, description, track, Number(autoUpdate), Number(restricted), JSON.stringify(config), toDbTime(now), id],
  );
  tx.ring("engine"); // what was not allowed may be now
}

/** Stores who may use a runner. */
export async function setAllowList(tx: Tx, id: string, list: AllowList, now: Date): Promise<void> {
  const text = `UPDATE "Runner" SET "allowlist" = ?, "updatedAt" = ? WHERE "id" = ?`;
  await tx.sql.run(text, JSON.stringify(list), toDbTime(now), id);
  tx.ring("engine");
}

/** Puts another secret in place of a runner's. Instances that came with the old one count as silent from now on. */
export async function replaceSecret(tx: Tx, id: string, secret: StoredClientSecret, now: Date): Promise<void> {
  const { secretHash, secretSealed, secretKeyId } = secret;
  await tx.sql.run(
    `UPDATE "Runner" SET "secretHash" = ?, "secretSealed" = ?, "secretKeyId" = ?, "secretVersion" = "secretVersion" + 1, "updatedAt" = ? WHERE "id" = ?`,
    ...[secretHash, secretSealed, secretKeyId, toDbTime(now), id],
  );
  await silenceInstances(tx, id, now);
}

/**
 * Removes a runner: its secret counts no more, its instances are silent, its queue is held by no pause, and nobody is
 * allowed on it, so that what waits for it ends. The row stays, since runs name it.
 */
export async function removeRunner(tx: Tx, id: string, now: Date): Promise<void> {
  const at = toDbTime(now);
  await tx.sql.run(
    `UPDATE "Runner" SET "deletedAt" = ?, "updatedAt" = ?, "secretHash" = NULL, "secretSealed" = NULL, "secretKeyId" = NULL,
       "secretVersion" = "secretVersion" + 1, "restricted" = 1, "allowlist" = ? WHERE "id" = ?`,
    ...[at, at, JSON.stringify(NOBODY), id],
  );
  await tx.sql.run(`UPDATE "RunnerPause" SET "resumedAt" = ? WHERE "runnerId" = ? AND "resumedAt" IS NULL`, at, id);
  await tx.sql.run(
    `UPDATE "Environment" SET "defaultRunnerId" = NULL, "updatedAt" = ? WHERE "defaultRunnerId" = ?`,
    at,
    id,
  );
  await silenceInstances(tx, id, now);
}

async function silenceInstances(tx: Tx, runnerId: string, now: Date): Promise<void> {
  const text = `UPDATE "RunnerInstance" SET "silentAt" = ? WHERE "runnerId" = ? AND "stoppedAt" IS NULL AND "silentAt" IS NULL`;
  await tx.sql.run(text, toDbTime(now), runnerId);
  tx.ring("engine");
}

async function requireFreeName(sql: Sql, name: string, id: string): Promise<void> {
  const twin = await sql.get(
    `SELECT 1 AS "one" FROM "Runner" WHERE "name" = ? AND "id" <> ? AND "deletedAt" IS NULL`,
    name,
    id,
  );
  if (twin) throw new MaiaError("STATE_CONFLICT", "There is a runner of that name already");
}

/** Who counts on a runner. */
export interface RunnerUse {
  readonly inFlight: number;
  readonly openTransactions: number;
  readonly queued: number;
  /** Enabled ones that name it. */
  readonly schedules: number;
  /** Those whose default it is, as `project/environment`. */
  readonly environments: readonly string[];
}

/** Who counts on a runner, besides what `RunnerView` tells of its work. */
export async function runnerDependents(
  sql: Sql,
  runnerId: string,
): Promise<Pick<RunnerUse, "schedules" | "environments">> {
  const [schedules, environments] = await Promise.all([
    sql.get<{ count: number }>(
      `SELECT COUNT(*) AS "count" FROM "Schedule" WHERE "runnerId" = ? AND "enabled" = 1 AND "deletedAt" IS NULL`,
      runnerId,
    ),
    sql.all<{ name: string }>(
      `SELECT p."name" || '/' || e."name" AS "name" FROM "Environment" e JOIN "Project" p ON p."id" = e."projectId"
       WHERE e."defaultRunnerId" = ? ORDER BY 1`,
      runnerId,
    ),
  ]);
  return { schedules: schedules?.count ?? 0, environments: environments.map(({ name }) => name) };
}

/** Client secrets that another key has sealed. */
export function runnersUnderOtherKeys(sql: Sql, keyId: string): Promise<RunnerRow[]> {
  return sql.all(`SELECT * FROM "Runner" WHERE "secretKeyId" IS NOT NULL AND "secretKeyId" <> ?`, keyId);
}

/** Puts another sealing of the same secret in place of one, unless it was refreshed meanwhile. */
export async function updateSealedClientSecret(
  tx: Tx,
  { id, secretSealed }: Pick<RunnerRow, "id" | "secretSealed">,
  next: { readonly keyId: string; readonly sealed: string },
): Promise<void> {
  const text = `UPDATE "Runner" SET "secretKeyId" = ?, "secretSealed" = ? WHERE "id" = ? AND "secretSealed" = ?`;
  await tx.sql.run(text, next.keyId, next.sealed, id, secretSealed);
}

/** A runner as it is inside a write. @throws {MaiaError} NOT_FOUND where it was removed meanwhile. */
export async function requireRunner(tx: Tx, id: string): Promise<RunnerRow> {
  const row = await findRunner(tx.sql, id);
  if (!row) throw new MaiaError("NOT_FOUND", "There is no such runner");
  return row;
}
