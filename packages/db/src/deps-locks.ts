import type { Sql, Tx } from "./types.js";

/** The lock that pins a version's packages; null while nobody has resolved them. */
export async function readDepsLock(sql: Sql, versionId: string): Promise<string | null> {
  const text = `SELECT "depsLock" FROM "WorkflowVersion" WHERE "id" = ?`;
  return (await sql.get<{ depsLock: string | null }>(text, versionId))?.depsLock ?? null;
}

/** Pins a version's packages, unless somebody was faster. @returns the lock that holds from now on */
export async function keepDepsLock(tx: Tx, versionId: string, lock: string, hash: string): Promise<string> {
  const text = `UPDATE "WorkflowVersion" SET "depsLock" = ?, "depsHash" = ? WHERE "id" = ? AND "depsLock" IS NULL`;
  const changed = await tx.sql.run(text, lock, hash, versionId);
  return changed === 1 ? lock : ((await readDepsLock(tx.sql, versionId)) ?? lock);
}
