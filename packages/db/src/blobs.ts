import type { Scope } from "./pages.js";
import { toDbTime } from "./time.js";
import type { Sql, Tx } from "./types.js";

/** Content that is in the blob store. */
export interface KeptBlob {
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly mime: string;
}

/** Makes content known in a project, and young again. Its bytes are in the blob store already. */
export async function keepBlob(tx: Tx, blob: KeptBlob, projectId: string, now: Date): Promise<void> {
  await noteContent(tx, blob, now);
  const access = `INSERT INTO "BlobAccess" ("sha256", "projectId", "createdAt") VALUES (?, ?, ?) ON CONFLICT DO NOTHING`;
  await tx.sql.run(access, blob.sha256, projectId, toDbTime(now));
}

/** Makes a row for content that files may refer to, wherever its bytes are. It is known in no project by that. */
export async function noteContent({ sql }: Tx, blob: KeptBlob, now: Date): Promise<void> {
  const at = toDbTime(now);
  await sql.run(
    `INSERT INTO "InputBlob" ("sha256", "sizeBytes", "mime", "createdAt", "usedAt") VALUES (?, ?, ?, ?, ?)
     ON CONFLICT ("sha256") DO UPDATE SET "usedAt" = excluded."usedAt"`,
    blob.sha256,
    blob.sizeBytes,
    blob.mime,
    at,
    at,
  );
}

/** True if the content is known in a project of the scope. */
export async function isBlobKnown(sql: Sql, scope: Scope, sha256: string): Promise<boolean> {
  if (scope?.length === 0) return false;
  const within = scope === null ? "" : ` AND "projectId" IN (${scope.map(() => "?").join(", ")})`;
  const text = `SELECT 1 AS "one" FROM "BlobAccess" WHERE "sha256" = ?${within} LIMIT 1`;
  return (await sql.get(text, sha256, ...(scope ?? []))) !== undefined;
}

/** Makes known content young again, so that garbage collection leaves it alone. */
export async function touchBlob({ sql }: Tx, sha256: string, now: Date): Promise<void> {
  await sql.run(`UPDATE "InputBlob" SET "usedAt" = ? WHERE "sha256" = ?`, toDbTime(now), sha256);
}
