import { newId } from "@maia/domain";
import { fromDbTime, toDbTime } from "./time.js";
import type { Sql, Tx } from "./types.js";

/** A version to be made. JSON stays text. */
export interface NewVersion {
  readonly workflowId: string;
  readonly workflowSnap: string;
  readonly snapHash: string;
  readonly depsHash: string | null;
  readonly depsLock: string | null;
  readonly message: string;
  readonly createdBy: string;
}

/** All that a version says, its lock included. */
export interface WholeVersion extends Omit<NewVersion, "createdBy"> {
  readonly version: number;
  readonly createdAt: Date;
}

/** Makes the next version of a workflow. Jobs do not get it unless they name it, or it becomes the latest. */
export async function insertVersion(tx: Tx, version: NewVersion, now: Date): Promise<number> {
  const newest = await tx.sql.get<{ version: number | null }>(
    `SELECT MAX("version") AS "version" FROM "WorkflowVersion" WHERE "workflowId" = ?`,
    version.workflowId,
  );
  const number = (newest?.version ?? 0) + 1;
  await tx.sql.run(
    `INSERT INTO "WorkflowVersion" ("id", "workflowId", "version", "workflowSnap", "snapHash", "depsHash", "depsLock", "message", "createdAt", "createdBy")
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    newId("version", now),
    version.workflowId,
    number,
    version.workflowSnap,
    version.snapHash,
    version.depsHash,
    version.depsLock,
    version.message,
    toDbTime(now),
    version.createdBy,
  );
  return number;
}

/** Makes a version the one that jobs get unless they name another. */
export async function setLatest({ sql }: Tx, workflowId: string, version: number): Promise<void> {
  await sql.run(`UPDATE "Workflow" SET "latestVersion" = ? WHERE "id" = ?`, version, workflowId);
}

/** Says of a version what has changed, where that was not said when it was made. */
export async function setVersionMessage(
  { sql }: Tx,
  workflowId: string,
  version: number,
  message: string,
): Promise<void> {
  const text = `UPDATE "WorkflowVersion" SET "message" = ? WHERE "workflowId" = ? AND "version" = ?`;
  await sql.run(text, message, workflowId, version);
}

/** The newest version from `since` on with this content; a lock that is given must be the same too. */
export async function findTwin(
  sql: Sql,
  { workflowId, snapHash, depsLock }: Pick<NewVersion, "workflowId" | "snapHash" | "depsLock">,
  since: number,
): Promise<number | null> {
  const locked = depsLock === null ? "" : ` AND "depsLock" = ?`;
  const text = `SELECT MAX("version") AS "version" FROM "WorkflowVersion" WHERE "workflowId" = ? AND "snapHash" = ? AND "version" >= ?${locked}`;
  const values = depsLock === null ? [] : [depsLock];
  return (await sql.get<{ version: number | null }>(text, workflowId, snapHash, since, ...values))?.version ?? null;
}

/** A version with its lock. */
export async function findWholeVersion(
  sql: Sql,
  workflowId: string,
  version: number,
): Promise<WholeVersion | undefined> {
  const row = await sql.get<Omit<WholeVersion, "createdAt"> & { createdAt: string }>(
    `SELECT "workflowId", "version", "workflowSnap", "snapHash", "depsHash", "depsLock", "message", "createdAt"
     FROM "WorkflowVersion" WHERE "workflowId" = ? AND "version" = ?`,
    workflowId,
    version,
  );
  return row && { ...row, createdAt: fromDbTime(row.createdAt) };
}

/** The number of the version before another one; null where there is none. */
export async function versionBefore(sql: Sql, workflowId: string, version: number): Promise<number | null> {
  const text = `SELECT MAX("version") AS "version" FROM "WorkflowVersion" WHERE "workflowId" = ? AND "version" < ?`;
  return (await sql.get<{ version: number | null }>(text, workflowId, version))?.version ?? null;
}
