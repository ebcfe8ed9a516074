import { firstIdAt } from "@maia/domain";
import { toDbTime } from "./time.js";
import type { Db, Sql, Tx } from "./types.js";

/** Rows of a log that one write deletes, so that it holds up no other for long. */
const EVENTS_AT_ONCE = 1_000;
/** Pages that one write gives back to the file system. */
const PAGES_AT_ONCE = 1_000;
const ROWS_AT_ONCE = 5_000;

/** What refers to the run `r`: steps with its results, and re-runs of it that have not begun. */
const REUSED = `SELECT 1 FROM "Attempt" a JOIN "RunStep" s ON s."reusedAttemptId" = a."id" WHERE a."runId" = r."id"
  UNION ALL SELECT 1 FROM "JobRun" q WHERE q."status" = 'QUEUED' AND q."originRunId" = r."id"`;

/** A job that has ended, and its run. */
export interface EndedJob {
  readonly id: string;
  readonly runId: string | null;
}

/**
 * Jobs that ended before a moment, the oldest first. Those of a batch stay while the batch goes on, and a run stays while
 * another one has results of it, or waits to have them.
 */
export async function endedJobs({ sql }: Pick<Db, "sql">, before: Date, limit: number): Promise<EndedJob[]> {
  // What ended before the moment was made before it, so that younger jobs are not looked at.
  return sql.all(
    `SELECT j."id", r."id" AS "runId" FROM "JobRun" j LEFT JOIN "Run" r ON r."jobRunId" = j."id"
     WHERE j."id" < ? AND j."status" IN ('SUCCEEDED', 'FAILED', 'CANCELED') AND j."finishedAt" < ?
     AND NOT EXISTS (SELECT 1 FROM "Batch" b WHERE b."id" = j."batchId" AND b."finishedAt" IS NULL)
     AND NOT EXISTS (${REUSED})
     ORDER BY j."id" LIMIT ?`,
    firstIdAt("job", before),
    toDbTime(before),
    limit,
  );
}

/** Why a job cannot be deleted: it goes on, its batch goes on, or a re-run has or awaits results of it. Null: it can. */
export async function whyJobStays(sql: Sql, jobId: string): Promise<"running" | "batch" | "reused" | null> {
  const job = await sql.get<{ hasEnded: number; inBatch: number; isReused: number }>(
    `SELECT j."finishedAt" IS NOT NULL AS "hasEnded",
       EXISTS (SELECT 1 FROM "Batch" b WHERE b."id" = j."batchId" AND b."finishedAt" IS NULL) AS "inBatch",
       EXISTS (${REUSED}) AS "isReused"
     FROM "JobRun" j LEFT JOIN "Run" r ON r."jobRunId" = j."id" WHERE j."id" = ?`,
    jobId,
  );
  if (!job) return null;
  if (!job.hasEnded) return "running";
  return job.inBatch ? "batch" : job.isReused ? "reused" : null;
}

/**
 * Deletes a job with all that is told of it; its log goes first, a part at a time. Content goes when nobody refers to it.
 * False: its results are wanted after all.
 */
export async function deleteJob(db: Db, job: EndedJob): Promise<boolean> {
  const { runId } = job;
  if (runId !== null) while ((await db.write((tx) => deleteEvents(tx, runId))) === EVENTS_AT_ONCE) {}
  return db.write(async ({ sql }) => {
    if (runId !== null) {
      const reused = await sql.get(`SELECT 1 AS "one" FROM "Run" r WHERE r."id" = ? AND EXISTS (${REUSED})`, runId);
      if (reused) return false; // somebody asked for it at this very moment
      await sql.run(
        `DELETE FROM "StoredAfar" WHERE "ownerId" IN (SELECT "id" FROM "Artifact" WHERE "runId" = ?)`,
        runId,
      );
      for (const table of ["Artifact", "Attempt", "RunStep"])
        await sql.run(`DELETE FROM "${table}" WHERE "runId" = ?`, runId);
      await sql.run(`DELETE FROM "Run" WHERE "id" = ?`, runId);
    }
    const files = `SELECT "id" FROM "InputFile" WHERE "jobRunId" = ?`;
    await sql.run(`DELETE FROM "StoredAfar" WHERE "ownerId" IN (${files})`, job.id);
    await sql.run(`DELETE FROM "InputFile" WHERE "jobRunId" = ?`, job.id);
    return (await sql.run(`DELETE FROM "JobRun" WHERE "id" = ?`, job.id)) === 1;
  });
}

/** Deletes batches whose jobs have been deleted, and those that ended before a moment without any. @returns how many, at most a part. */
export function deleteEmptyBatches({ sql }: Tx, before: Date): Promise<number> {
  return sql.run(
    `DELETE FROM "Batch" WHERE "id" IN (
       SELECT b."id" FROM "Batch" b WHERE b."finishedAt" IS NOT NULL AND (b."cursor" > 0 OR b."finishedAt" < ?)
       AND NOT EXISTS (SELECT 1 FROM "JobRun" j WHERE j."batchId" = b."id") LIMIT ?)`,
    toDbTime(before),
    ROWS_AT_ONCE,
  );
}

/** Whoever has not seen them yet learns by the project's floor that he never will. */
async function deleteEvents({ sql }: Tx, runId: string): Promise<number> {
  const text = `SELECT "id" FROM "LogEvent" WHERE "runId" = ? ORDER BY "id" LIMIT ?`;
  const last = (await sql.all<{ id: number }>(text, runId, EVENTS_AT_ONCE)).at(-1);
  if (!last) return 0;
  await sql.run(
    `UPDATE "Project" SET "eventFloor" = max("eventFloor", ?) WHERE "id" = (SELECT "projectId" FROM "Run" WHERE "id" = ?)`,
    last.id,
    runId,
  );
  return sql.run(`DELETE FROM "LogEvent" WHERE "runId" = ? AND "id" <= ?`, runId, last.id);
}

/** Deletes events of no run that are older than every event that is kept of one. @returns how many, at most a part. */
export async function deleteOldestEvents({ sql }: Tx): Promise<number> {
  const first = await sql.get<{ id: number }>(
    `SELECT "id" FROM "LogEvent" WHERE "runId" IS NOT NULL ORDER BY "id" LIMIT 1`,
  );
  const text = `DELETE FROM "LogEvent" WHERE "id" IN (SELECT "id" FROM "LogEvent" WHERE "id" < ? ORDER BY "id" LIMIT ?)`;
  return first ? sql.run(text, first.id, EVENTS_AT_ONCE) : 0;
}

/** Forgets content that nothing refers to and nobody has asked for since a moment. @returns its hashes. */
export async function forgetBlobs({ sql }: Tx, before: Date): Promise<string[]> {
  const rows = await sql.all<{ sha256: string }>(
    `SELECT b."sha256" FROM "InputBlob" b WHERE b."usedAt" < ?
     AND NOT EXISTS (SELECT 1 FROM "InputFile" f WHERE f."sha256" = b."sha256")
     AND NOT EXISTS (SELECT 1 FROM "BatchBlob" t WHERE t."sha256" = b."sha256")
     ORDER BY b."usedAt" LIMIT ?`,
    toDbTime(before),
    ROWS_AT_ONCE,
  );
  for (const { sha256 } of rows) await sql.run(`DELETE FROM "InputBlob" WHERE "sha256" = ?`, sha256);
  return rows.map(({ sha256 }) => sha256);
}

/** Takes out of a set of hashes those that a row refers to. Artifacts have no index by hash: they are read once, in parts. */
export async function keepReferred(sql: Sql, hashes: Set<string>): Promise<void> {
  for (const sha256 of [...hashes]) {
    const known = await sql.get(`SELECT 1 AS "one" FROM "InputBlob" WHERE "sha256" = ?`, sha256);
    if (known) hashes.delete(sha256);
  }
  for (let after = ""; hashes.size > 0; ) {
    const text = `SELECT "id", "sha256" FROM "Artifact" WHERE "id" > ? AND "system" = 0 ORDER BY "id" LIMIT ?`;
    const rows = await sql.all<{ id: string; sha256: string }>(text, after, ROWS_AT_ONCE);
    for (const { sha256 } of rows) hashes.delete(sha256);
    const last = rows.at(-1);
    if (!last) return;
    after = last.id;
  }
}

/** Bytes of the database in use, and how many of its file are not. */
export async function databaseSize(sql: Sql): Promise<{ usedBytes: number; freeBytes: number }> {
  const number = async (name: string) => {
    const row = await sql.get<Record<string, number>>(`PRAGMA ${name}`);
    return row?.[name] ?? 0;
  };
  const [pages, free, size] = [await number("page_count"), await number("freelist_count"), await number("page_size")];
  return { usedBytes: (pages - free) * size, freeBytes: free * size };
}

/** Gives unused pages of the database back to the file system. @returns how many bytes are left to give. */
export async function shrinkDatabase(tx: Tx): Promise<number> {
  await tx.shrink(PAGES_AT_ONCE);
  return (await databaseSize(tx.sql)).freeBytes;
}

/** Bytes that Maia has of what rows refer to; what is merely known goes by its own age. */
export async function contentSize(sql: Sql): Promise<number> {
  const row = await sql.get<{ bytes: number | null }>(
    `SELECT (SELECT coalesce(sum(b."sizeBytes"), 0) FROM "InputBlob" b
             WHERE EXISTS (SELECT 1 FROM "InputFile" f WHERE f."sha256" = b."sha256"
               AND NOT EXISTS (SELECT 1 FROM "StoredAfar" s WHERE s."ownerId" = f."id"))) +
            (SELECT coalesce(sum("sizeBytes"), 0) FROM "Artifact" WHERE "system" = 0) -
            (SELECT coalesce(sum(s."sizeBytes"), 0) FROM "StoredAfar" s JOIN "Artifact" f ON f."id" = s."ownerId") AS "bytes"`,
  );
  return row?.bytes ?? 0;
}
