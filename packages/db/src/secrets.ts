import { toDbTime } from "./time.js";
import type { Sql, Tx } from "./types.js";

/** A secret as it is listed: never its value. */
export interface SecretView {
  readonly name: string;
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** A secret as it is stored: encrypted. */
export interface SecretRow extends SecretView {
  readonly environmentId: string;
  readonly keyId: string;
  readonly sealed: string;
}

const VIEW = `"name", "createdAt", "updatedAt"`;

/** The secrets of an environment, by name. */
export function listSecrets(sql: Sql, environmentId: string): Promise<SecretView[]> {
  return sql.all(`SELECT ${VIEW} FROM "Secret" WHERE "environmentId" = ? ORDER BY "name"`, environmentId);
}

/** One secret of an environment, without its value. */
export function findSecret(sql: Sql, environmentId: string, name: string): Promise<SecretView | undefined> {
  return sql.get(`SELECT ${VIEW} FROM "Secret" WHERE "environmentId" = ? AND "name" = ?`, environmentId, name);
}

/** One secret of an environment, encrypted. */
export function readSecret(sql: Sql, environmentId: string, name: string): Promise<SecretRow | undefined> {
  return sql.get(`SELECT * FROM "Secret" WHERE "environmentId" = ? AND "name" = ?`, environmentId, name);
}

/** Stores a secret, in place of the one of that name if there is one. */
export async function putSecret(
  tx: Tx,
  secret: Pick<SecretRow, "environmentId" | "name" | "keyId" | "sealed">,
  now: Date,
): Promise<void> {
  const { environmentId, name, keyId, sealed } = secret;
  await tx.sql.run(
    `INSERT INTO "Secret" ("environmentId", "name", "keyId", "sealed", "createdAt", "updatedAt") VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT ("environmentId", "name") DO UPDATE SET "keyId" = excluded."keyId", "sealed" = excluded."sealed", "updatedAt" = excluded."updatedAt"`,
    environmentId,
    name,
    keyId,
    sealed,
    toDbTime(now),
    toDbTime(now),
  );
}

/** Deletes a secret. False: there was none. */
export async function deleteSecret(tx: Tx, environmentId: string, name: string): Promise<boolean> {
  return (await tx.sql.run(`DELETE FROM "Secret" WHERE "environmentId" = ? AND "name" = ?`, environmentId, name)) > 0;
}

/** Secrets that another key has encrypted, with the project that each belongs to. */
export function secretsUnderOtherKeys(
  sql: Sql,
  keyId: string,
): Promise<(SecretRow & { readonly projectId: string })[]> {
  return sql.all(
    `SELECT s.*, e."projectId" FROM "Secret" s JOIN "Environment" e ON e."id" = s."environmentId" WHERE s."keyId" <> ?`,
    keyId,
  );
}

/** Puts another encryption of the same value in place of one, unless the secret was set meanwhile. */
export async function updateSealed(
  tx: Tx,
  row: Pick<SecretRow, "environmentId" | "name" | "sealed">,
  next: Pick<SecretRow, "keyId" | "sealed">,
): Promise<void> {
  await tx.sql.run(
    `UPDATE "Secret" SET "keyId" = ?, "sealed" = ? WHERE "environmentId" = ? AND "name" = ? AND "sealed" = ?`,
    next.keyId,
    next.sealed,
    row.environmentId,
    row.name,
    row.sealed,
  );
}
