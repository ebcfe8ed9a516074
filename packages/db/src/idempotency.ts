import { fromDbTime, toDbTime } from "./time.js";
import type { Sql, Tx } from "./types.js";

/** What a creating request was answered with. */
export interface IdempotentAnswer {
  /** SHA-256 of the parsed request and its files' hashes. */
  readonly requestHash: string;
  readonly status: number;
  readonly location: string;
}

/** What the caller's earlier request with this key was answered with, unless that is `ttlMs` ago. */
export async function findIdempotencyKey(
  sql: Sql,
  principal: string,
  key: string,
  ttlMs: number,
  now: Date,
): Promise<IdempotentAnswer | null> {
  const text = `SELECT "requestHash", "status", "location", "createdAt" FROM "IdempotencyKey" WHERE "principal" = ? AND "key" = ?`;
  const row = await sql.get<IdempotentAnswer & { createdAt: string }>(text, principal, key);
  if (!row || fromDbTime(row.createdAt).getTime() <= now.getTime() - ttlMs) return null;
  const { requestHash, status, location } = row;
  return { requestHash, status, location };
}

/**
 * Keeps an answer, in the transaction that creates what it names. Look for an earlier one in the same transaction
 * first; what is here then has expired, and is replaced.
 */
export async function insertIdempotencyKey(
  { sql }: Tx,
  principal: string,
  key: string,
  { requestHash, status, location }: IdempotentAnswer,
  now: Date,
): Promise<void> {
  await sql.run(`DELETE FROM "IdempotencyKey" WHERE "principal" = ? AND "key" = ?`, principal, key);
  const text = `INSERT INTO "IdempotencyKey" ("principal", "key", "requestHash", "status", "location", "createdAt") VALUES (?, ?, ?, ?, ?, ?)`;
  await sql.run(text, principal, key, requestHash, status, location, toDbTime(now));
}

/** Forgets the answers from before a moment, some at a time. @returns how many; fewer than `limit` means all. */
export function expireIdempotencyKeys({ sql }: Tx, before: Date, limit = 1_000): Promise<number> {
  const text = `DELETE FROM "IdempotencyKey" WHERE ("principal", "key") IN (
    SELECT "principal", "key" FROM "IdempotencyKey" WHERE "createdAt" <= ? ORDER BY "createdAt" LIMIT ?)`;
  return sql.run(text, toDbTime(before), limit);
}
