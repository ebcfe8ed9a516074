import { randomBytes, timingSafeEqual } from "node:crypto";
import { newId, sha256Hex } from "@maia/domain";
import { fromDbTime, toDbTime } from "./time.js";
import type { Db, Sql, Tx } from "./types.js";

/** A credential of the API, without its secret. */
export interface ApiKey {
  readonly id: string;
  readonly name: string;
  readonly role: string;
  /** Project ids; null = all. */
  readonly projects: readonly string[] | null;
  readonly lastFour: string;
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
  readonly revokedAt: Date | null;
  readonly lastUsedAt: Date | null;
}

export interface NewApiKey {
  readonly name: string;
  readonly role: string;
  readonly projects?: readonly string[] | null;
  readonly expiresAt?: Date | null;
}

interface ApiKeyRow {
  readonly id: string;
  readonly name: string;
  readonly role: string;
  readonly projects: string | null;
  readonly secretHash: string;
  readonly lastFour: string;
  readonly createdAt: string;
  readonly expiresAt: string | null;
  readonly revokedAt: string | null;
  readonly lastUsedAt: string | null;
}

const SECRET_BYTES = 32;
/** `mk_`, the id without its prefix, `_`, and the secret in base64url, which may hold further underscores. */
const PRESENTED = /^mk_([0-9a-z]+)_([\w-]{43})$/;
const ID_PREFIX = "key_";
/** Stands in where no such key exists, so that the answer takes as long. */
const NO_HASH = "0".repeat(64);

/** Makes a key. Its text is in the answer and nowhere else: the row keeps a hash of the secret. */
export async function createApiKey(tx: Tx, key: NewApiKey, now: Date): Promise<{ key: ApiKey; presented: string }> {
  const id = newId("key", now);
  const secret = randomBytes(SECRET_BYTES).toString("base64url");
  const { name, role, projects = null, expiresAt = null } = key;
  const row: ApiKeyRow = {
    id,
    name,
    role,
    projects: projects && JSON.stringify(projects),
    secretHash: sha256Hex(secret),
    lastFour: secret.slice(-4),
    createdAt: toDbTime(now),
    expiresAt: expiresAt && toDbTime(expiresAt),
    revokedAt: null,
    lastUsedAt: null,
  };
  await tx.sql.run(
    `INSERT INTO "ApiKey" ("id", "name", "role", "projects", "secretHash", "lastFour", "createdAt", "expiresAt") VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    row.id,
    row.name,
    row.role,
    row.projects,
    row.secretHash,
    row.lastFour,
    row.createdAt,
    row.expiresAt,
  );
  return { key: fromRow(row), presented: `mk_${id.slice(ID_PREFIX.length)}_${secret}` };
}

/** The key that somebody presents, if it is one that counts now. */
export async function findApiKeyBySecret(
  { sql }: Pick<Db, "sql">,
  presented: string,
  now: Date,
): Promise<ApiKey | null> {
  const [, idPart, secret] = PRESENTED.exec(presented) ?? [];
  if (idPart === undefined || secret === undefined) return null;
  const row = await sql.get<ApiKeyRow>(`SELECT * FROM "ApiKey" WHERE "id" = ?`, ID_PREFIX + idPart);
  const matches = timingSafeEqual(Buffer.from(sha256Hex(secret)), Buffer.from(row?.secretHash ?? NO_HASH));
  if (!row || !matches) return null;
  const key = fromRow(row);
  return counts(key, now) ? key : null;
}

function counts({ revokedAt, expiresAt }: ApiKey, now: Date): boolean {
  return revokedAt === null && (expiresAt === null || expiresAt > now);
}

/** A key that counts now, with the hash of its secret: for whoever compares the secret themselves. */
export async function findApiKeyCredential(
  sql: Sql,
  id: string,
  now: Date,
): Promise<{ readonly key: ApiKey; readonly secretHash: string } | null> {
  const row = await sql.get<ApiKeyRow>(`SELECT * FROM "ApiKey" WHERE "id" = ?`, id);
  const key = row && fromRow(row);
  return key && counts(key, now) ? { key, secretHash: row.secretHash } : null;
}

/** All keys, the newest first, revoked ones too. */
export async function listApiKeys({ sql }: Pick<Db, "sql">): Promise<ApiKey[]> {
  return (await sql.all<ApiKeyRow>(`SELECT * FROM "ApiKey" ORDER BY "id" DESC`)).map(fromRow);
}

/** The key with this id, also a revoked one. */
export async function findApiKey(sql: Sql, id: string): Promise<ApiKey | null> {
  const row = await sql.get<ApiKeyRow>(`SELECT * FROM "ApiKey" WHERE "id" = ?`, id);
  return row ? fromRow(row) : null;
}

/** Revokes a key for good. False: there is no such key, or it is revoked already. */
export async function revokeApiKey({ sql }: Tx, id: string, now: Date): Promise<boolean> {
  const text = `UPDATE "ApiKey" SET "revokedAt" = ? WHERE "id" = ? AND "revokedAt" IS NULL`;
  return (await sql.run(text, toDbTime(now), id)) === 1;
}

/** Notes that a key is in use. */
export async function touchApiKey({ sql }: Tx, id: string, now: Date): Promise<void> {
  await sql.run(`UPDATE "ApiKey" SET "lastUsedAt" = ? WHERE "id" = ?`, toDbTime(now), id);
}

function fromRow({ secretHash: _, ...row }: ApiKeyRow): ApiKey {
  return {
    ...row,
    projects: row.projects === null ? null : (JSON.parse(row.projects) as string[]),
    createdAt: fromDbTime(row.createdAt),
    expiresAt: fromDbTime(row.expiresAt),
    revokedAt: fromDbTime(row.revokedAt),
    lastUsedAt: fromDbTime(row.lastUsedAt),
  };
}
