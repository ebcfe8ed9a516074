import { findIdempotencyKey, type Sql, type Tx, toDbTime } from "@maia/db";
import { canonicalJson, MaiaError, sha256Hex } from "@maia/domain";
import type { JobRequest } from "./job-request.js";
import type { Upload } from "./prepare-job.js";

/** A caller's Idempotency-Key with the request that came with it. */
export interface IdempotentRequest {
  readonly principal: string;
  readonly key: string;
  readonly requestHash: string;
  readonly ttlMs: number;
  /** What the address of the thing that is made begins with. */
  readonly place: "/v1/jobs/" | "/v1/batches/";
}

/** Covers what was asked for and the content of every file, however the files came. */
export function hashRequest({ files, ...rest }: JobRequest, uploads: readonly Upload[]): string {
  const all = [...files, ...uploads].map(({ name, sha256 }) => ({ name, sha256 }));
  return sha256Hex(canonicalJson({ ...rest, files: all }));
}

/**
 * The id of what the same request made before, or null.
 * @throws {MaiaError} IDEMPOTENCY_KEY_REUSED where the key came with another request.
 */
export async function madeBefore(sql: Sql, request: IdempotentRequest, now: Date): Promise<string | null> {
  const answer = await findIdempotencyKey(sql, request.principal, request.key, request.ttlMs, now);
  if (!answer) return null;
  if (answer.requestHash === request.requestHash) return answer.location.slice(request.place.length);
  throw new MaiaError("IDEMPOTENCY_KEY_REUSED", "The Idempotency-Key came with another request before; use a new key");
}

/** Notes what the request makes. False: a twin was faster. */
export async function takeKey({ sql }: Tx, request: IdempotentRequest, id: string, now: Date): Promise<boolean> {
  const changed = await sql.run(
    `INSERT INTO "IdempotencyKey" ("principal", "key", "requestHash", "status", "location", "createdAt") VALUES (?, ?, ?, 201, ?, ?)
     ON CONFLICT ("principal", "key") DO UPDATE SET "requestHash" = excluded."requestHash", "status" = 201,
       "location" = excluded."location", "createdAt" = excluded."createdAt" WHERE "IdempotencyKey"."createdAt" <= ?`,
    request.principal,
    request.key,
    request.requestHash,
    `${request.place}${id}`,
    toDbTime(now),
    toDbTime(new Date(now.getTime() - request.ttlMs)),
  );
  return changed === 1;
}
