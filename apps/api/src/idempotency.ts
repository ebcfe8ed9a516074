import type { IncomingMessage } from "node:http";
import { findIdempotencyKey, insertIdempotencyKey, type Sql, type Tx } from "@maia/db";
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
export type Once<T> =
  | { readonly location: string; readonly made: T }
  | { readonly location: string; readonly made: null };

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

async function locationOf(sql: Sql, { caller, now }: Call, request: KeyedRequest): Promise<string | null> {
  const before = await findIdempotencyKey(sql, caller.id, request.key, request.ttlMs, now);
  if (!before) return null;
  if (before.requestHash === request.requestHash) return before.location;
  throw new MaiaError("IDEMPOTENCY_KEY_REUSED", "The Idempotency-Key came with another request before");
}

/**
 * Where the thing is that the same request made before, or null. Asked before what a request refers to is checked, since
 * that may have changed meanwhile.
 * @throws {MaiaError} IDEMPOTENCY_KEY_REUSED where the key came with another request before.
 */
export async function madeBefore(call: Call): Promise<string | null> {
  const request = keyed(call);
  return request && locationOf(call.context.db.sql, call, request);
}

/**
 * Makes something once per Idempotency-Key of its caller.
 * @throws {MaiaError} IDEMPOTENCY_KEY_REUSED where the key came with another request before.
 */
export async function makeOnce<T>(
  call: Call,
  make: (tx: Tx) => Promise<{ location: string; made: T }>,
): Promise<Once<T>> {
  const { context, caller, now } = call;
  const request = keyed(call);
  return context.db.write(async (tx) => {
    if (request === null) return make(tx);
    const before = await locationOf(tx.sql, call, request);
    if (before !== null) return { location: before, made: null };
    const result = await make(tx);
    const answer = { requestHash: request.requestHash, status: 201, location: result.location };
    await insertIdempotencyKey(tx, caller.id, request.key, answer, now);
    return result;
  });
}
