import { isRunHere, noteStoredAfar, type Origin, type Sql, type Tx, toDbTime } from "@maia/db";
import { invalid, MaiaError, newId } from "@maia/domain";
import { announceJob, insertJob, type JobCause, type JobValues } from "./store-job.js";

/** A file of the run that is done again. One that never arrived has no hash, and is downloaded again. */
export interface OriginFile {
  readonly position: number;
  readonly name: string;
  readonly source: string;
  readonly url: string | null;
  readonly sha256: string | null;
  readonly path: string | null;
  readonly sizeBytes: number | null;
  readonly mime: string | null;
  /** The store that has its bytes, and the runner whose store it is; null: Maia has them. */
  readonly storeId: string | null;
  readonly runnerId: string | null;
}

export async function originFiles(sql: Sql, jobId: string): Promise<OriginFile[]> {
  return sql.all(
    `SELECT f."position", f."name", f."source", f."url", f."sha256", f."path", f."sizeBytes", f."mime", s."storeId", s."runnerId"
     FROM "InputFile" f LEFT JOIN "StoredAfar" s ON s."ownerId" = f."id" WHERE f."jobRunId" = ? ORDER BY f."position"`,
    jobId,
  );
}

/**
 * Stores a job that does a run again: its files are rows that name the same content.
 * @throws {MaiaError} NOT_FOUND, BLOB_UNKNOWN when the run was deleted, or a file collected, since it was looked at.
 */
export async function storeRerun(
  tx: Tx,
  jobId: string,
  job: JobValues & Pick<Origin, "id">,
  files: readonly OriginFile[],
  cause: JobCause,
  now: Date,
): Promise<void> {
  if (!(await isRunHere(tx.sql, job.id))) throw new MaiaError("NOT_FOUND", "There is no such run any more");
  await insertJob(tx, jobId, job, cause, now);
  for (const file of files) await insertFile(tx, jobId, file, now);
  await announceJob(tx, jobId, job.projectId, cause, now);
}

async function insertFile(tx: Tx, jobId: string, file: OriginFile, now: Date): Promise<void> {
  const { position, name, source, url, sha256, path, sizeBytes, mime } = file;
  const [id, at] = [newId("file", now), toDbTime(now)];
  if (sha256 !== null) {
    const young = `UPDATE "InputBlob" SET "usedAt" = ? WHERE "sha256" = ?`;
    if ((await tx.sql.run(young, at, sha256)) === 0) {
      const message = `needs content that is not here any more: input file ${name}; start a new job with the files`;
      throw invalid([{ pointer: "", message }], "BLOB_UNKNOWN");
    }
  }
  await tx.sql.run(
    `INSERT INTO "InputFile" ("id", "jobRunId", "position", "name", "source", "status", "url", "sha256", "path", "sizeBytes", "mime", "createdAt")
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    id,
    jobId,
    position,
    name,
    source,
    sha256 === null ? "FETCHING" : "READY",
    url,
    sha256,
    path,
    sizeBytes,
    mime,
    at,
  );
  const { storeId, runnerId } = file;
  if (storeId !== null && runnerId !== null && sha256 !== null)
    await noteStoredAfar(tx, id, { storeId, runnerId, sha256, sizeBytes: sizeBytes ?? 0 });
}
