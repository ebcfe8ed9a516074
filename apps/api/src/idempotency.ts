import type { IncomingMessage } from "node:http";
import { findIdempotencyKey, insertIdempotencyKey, type Tx } from "@maia/db";
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

/**
 * Makes something once per Idempotency-Key of its caller.
 * @throws {MaiaError} IDEMPOTENCY_KEY_REUSED where the key came with another request before.
 */
export async function makeOnce<T>(
  { context, caller, req, now, body }: Call,
  make: (tx: Tx) => Promise<{ location: string; made: T }>,
): Promise<Once<T>> {
  const key = idempotencyKeyOf(req);
  const ttlMs = context.config.constants.idempotencyTtlMs;
  const requestHash = key === null ? "" : sha256Hex(`${req.method} ${req.url} ${canonicalJson(body)}`);
  return context.db.write(async (tx) => {
    if (key === null) return make(tx);
    const before = await findIdempotencyKey(tx.sql, caller.id, key, ttlMs, now);
    if (before && before.requestHash !== requestHash) {
      throw new MaiaError("IDEMPOTENCY_KEY_REUSED", "The Idempotency-Key came with another request before");
    }
    if (before) return { location: before.location, made: null };
    const result = await make(tx);
    await insertIdempotencyKey(tx, caller.id, key, { requestHash, status: 201, location: result.location }, now);
    return result;
  });
}
