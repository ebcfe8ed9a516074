import type { StoreNeed } from "@maia/domain";
import type { OwnedRun } from "./runs.js";
import { fromDbTime } from "./time.js";
import type { Sql, Tx } from "./types.js";

/** Content that a store of a runner has, and Maia has not. */
export interface AfarContent {
  readonly storeId: string;
  readonly runnerId: string;
  readonly sha256: string;
  readonly sizeBytes: number;
}

/** Where the bytes of a file or an artifact are. */
export interface StoredAfar extends AfarContent {
  readonly ownerId: string;
  readonly runnerName: string;
}

/** Notes that the bytes of a file or an artifact are in a store of a runner. */
export async function noteStoredAfar({ sql }: Tx, ownerId: string, content: AfarContent): Promise<void> {
  const { storeId, runnerId, sha256, sizeBytes } = content;
  const text = `INSERT INTO "StoredAfar" ("ownerId", "storeId", "runnerId", "sha256", "sizeBytes") VALUES (?, ?, ?, ?, ?)`;
  await sql.run(text, ownerId, storeId, runnerId, sha256, sizeBytes);
}

/** Which of these files and artifacts are in a store of a runner, and where; the bytes of the others are with Maia. */
export async function findStoredAfar(sql: Sql, ownerIds: readonly string[]): Promise<Map<string, StoredAfar>> {
  const found = new Map<string, StoredAfar>();
  for (const ownerId of ownerIds) {
    const row = await sql.get<StoredAfar>(AFAR, ownerId);
    if (row) found.set(ownerId, row);
  }
  return found;
}

const AFAR = `SELECT s."ownerId", s."storeId", s."runnerId", s."sha256", s."sizeBytes", r."name" AS "runnerName"
  FROM "StoredAfar" s JOIN "Runner" r ON r."id" = s."runnerId" WHERE s."ownerId" = ?`;

/** The store that has the bytes of a run; null: none is bound to it (yet). */
export async function storeOfRun(sql: Sql, runId: string): Promise<string | null> {
  const row = await sql.get<{ storeId: string | null }>(`SELECT "storeId" FROM "Run" WHERE "id" = ?`, runId);
  return row?.storeId ?? null;
}

/** What the steps of a job need of an instance; null: nothing, since Maia has the job's data. */
export async function storeNeedOfJob(sql: Sql, jobId: string): Promise<StoreNeed | null> {
  const text = `SELECT r."storeId" FROM "JobRun" j LEFT JOIN "Run" r ON r."jobRunId" = j."id" WHERE j."id" = ? AND j."dataResidency" = 'runner'`;
  return (await sql.get<StoreNeed>(text, jobId)) ?? null;
}

/** Binds a run to the store that has its bytes from now on. One that is bound stays where it is. */
export async function bindStore({ sql }: Tx, run: OwnedRun, storeId: string): Promise<void> {
  const text = `UPDATE "Run" SET "storeId" = ? WHERE "id" = ? AND "ownerEpoch" = ? AND "storeId" IS NULL`;
  await sql.run(text, storeId, run.id, run.epoch);
}

/** Those of some hashes that nothing refers to which is in a store. */
export async function unusedOf(sql: Sql, storeId: string, hashes: readonly string[]): Promise<string[]> {
  const unused: string[] = [];
  for (const sha256 of hashes) {
    const text = `SELECT 1 AS "one" FROM "StoredAfar" WHERE "storeId" = ? AND "sha256" = ? LIMIT 1`;
    if (!(await sql.get(text, storeId, sha256))) unused.push(sha256);
  }
  return unused;
}

/** When the oldest run began that goes on with a store; null: none does. */
export async function oldestRunOn(sql: Sql, storeId: string): Promise<Date | null> {
  const text = `SELECT MIN("createdAt") AS "at" FROM "Run" WHERE "status" IN ('PENDING_INPUTS', 'RUNNING') AND "storeId" = ?`;
  return fromDbTime((await sql.get<{ at: string | null }>(text, storeId))?.at ?? null);
}

/** The store that has what the run of a job begins with: files of an earlier run, or results of it. Null: none has. */
export async function inheritedStore(
  sql: Sql,
  { id, originRunId }: { readonly id: string; readonly originRunId: string | null },
  reusesResults: boolean,
): Promise<string | null> {
  const ofFiles = `SELECT s."storeId" FROM "InputFile" f JOIN "StoredAfar" s ON s."ownerId" = f."id" WHERE f."jobRunId" = ? LIMIT 1`;
  const row = await sql.get<{ storeId: string }>(ofFiles, id);
  if (row) return row.storeId;
  return reusesResults && originRunId !== null ? storeOfRun(sql, originRunId) : null;
}
