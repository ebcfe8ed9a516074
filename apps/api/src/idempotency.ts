import type { IncomingMessage } from "node:http";
import { findIdempotencyKey, type IdempotentAnswer, insertIdempotencyKey, type Sql, type Tx } from "@maia/db";
import { canonicalJson, MaiaError, sha256Hex } from "@maia/domain";
import type { Call } from "./http/route.js";

/** The request's Idempotency-Key; null without one. @throws {MaiaError} BAD_REQUEST on what is none. */
export function idempotencyKeyOf(req: IncomingMessage): string | null {
  const key = req.headers["idempotency-key"];
  if (key === undefined) return null;
  if (typeof key === "string" && /^[\x21-\x7e]{1,255}$/.test(key)) return key;
  throw new MaiaError("BAD_REQUEST", "An Idempotency-Key has 1 to 255 visible ASCII characters");
}

/** The header of an answer that was given before. */
export function replayHeader(isReplayed: boolean): Record<string, string> {
  return isReplayed ? { "Idempotent-Replayed": "true" } : {};
}

/** Something that was made, or had been made by the same request before. */
export type Once<T> = { readonly location: string; readonly status: number } & (
  | { readonly made: T }
  | { readonly made: null }
);

interface KeyedRequest {
  readonly key: string;
  readonly requestHash: string;
  readonly ttlMs: number;
}

function keyed({ context, req, body }: Call): KeyedRequest | null {
  const key = idempotencyKeyOf(req);
  if (key === null) return null;
  const requestHash = sha256Hex(`${req.method} ${req.url} ${canonicalJson(body ?? null)}`);
  return { key, requestHash, ttlMs: context.config.constants.idempotencyTtlMs };
}

async function answeredBefore(
  sql: Sql,
  { caller, now }: Call,
  request: KeyedRequest,
): Promise<IdempotentAnswer | null> {
  const before = await findIdempotencyKey(sql, caller.id, request.key, request.ttlMs, now);
  if (!before || before.requestHash === request.requestHash) return before;
  throw new MaiaError("IDEMPOTENCY_KEY_REUSED", "The Idempotency-Key came with another request before");
}

/**
 * What the same request made before, or null. Asked before what a request refers to is checked, since that may have
 * changed meanwhile.
 * @throws {MaiaError} IDEMPOTENCY_KEY_REUSED where the key came with another request before.
 */
export async function madeBefore(call: Call): Promise<Once<never> | null> {
  const request = keyed(call);
  const before = request && (await answeredBefore(call.context.db.sql, call, request));
  return before && { location: before.location, status: before.status, made: null };
}

/**
 * Makes something once per Idempotency-Key of its caller. The answer's status is 201 unless `make` says otherwise.
 * @throws {MaiaError} IDEMPOTENCY_KEY_REUSED where the key came with another request before.
 */
export async function makeOnce<T>(
  call: Call,
  make: (tx: Tx) => Promise<{ location: string; status?: number; made: T }>,
): Promise<Once<T>> {
  const { context, caller, now } = call;
  const request = keyed(call);
  return context.db.write(async (tx) => {
    if (request === null) return { status: 201, ...(await make(tx)) };
    const before = await answeredBefore(tx.sql, call, request);
    if (before !== null) return { location: before.location, status: before.status, made: null };
    const result = { status: 201, ...(await make(tx)) };
    const { status, location } = result;
    await insertIdempotencyKey(tx, caller.id, request.key, { requestHash: request.requestHash, status, location }, now);
    return result;
  });
}
