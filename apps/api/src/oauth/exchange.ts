import { timingSafeEqual } from "node:crypto";
import { appendAudit } from "@maia/db";
import { sha256Hex } from "@maia/domain";
import { addressOf } from "../http/address.js";
import type { Call } from "../http/route.js";
import { RateLimit, retryAfter } from "../rate-limit.js";
import type { OAuthClient } from "./clients.js";
import { OAuthProblem } from "./oauth-problem.js";
import type { TokenRequest } from "./token-request.js";
import { AUDIENCE } from "./tokens.js";

/**
 * How often requests for tokens may be made, and how many may be wrong, per minute. A runner has up to 1,000 processes that
 * may start all at once, behind one address; secrets are random and long, so that nobody finds one by trying.
 */
const REQUESTS_PER_CLIENT = 1_200;
const REQUESTS_PER_ADDRESS = 6_000;
const FAILURES_PER_CLIENT = 10;
const FAILURES_PER_ADDRESS = 60;

/** Stands in where there is no such client, so that the answer takes as long. */
const NO_HASH = "0".repeat(64);

/**
 * Counts requests for tokens by client and address. Wrong ones are counted apart and keep nobody out who has the right
 * secret: of a fleet behind one address, some processes may still have the old one.
 */
export class TokenLimits {
  readonly #ofClient = new RateLimit(REQUESTS_PER_CLIENT);
  readonly #ofAddress = new RateLimit(REQUESTS_PER_ADDRESS);
  readonly #failuresOfClient = new RateLimit(FAILURES_PER_CLIENT);
  readonly #failuresOfAddress = new RateLimit(FAILURES_PER_ADDRESS);

  /** Counts a request. @throws {OAuthProblem} temporarily_unavailable, saying when to come back. */
  admit(client: string, address: string, now: Date): void {
    refuseFor(this.#ofAddress.take(address, now) || this.#ofClient.take(`${address} ${client}`, now));
  }

  /** Counts a request that was wrong. @throws {OAuthProblem} temporarily_unavailable where there were too many. */
  fail(client: string, address: string, now: Date): void {
    refuseFor(this.#failuresOfClient.take(`${address} ${client}`, now) || this.#failuresOfAddress.take(address, now));
  }
}

/** @throws {OAuthProblem} unless the wait is over. */
function refuseFor(waitMs: number): void {
  if (waitMs === 0) return;
  throw new OAuthProblem("temporarily_unavailable", "Too many requests for tokens", retryAfter(waitMs));
}

/** A token in exchange for a client's id and secret. @throws {OAuthProblem} with the same words whatever was wrong with them. */
export async function exchange(call: Call, request: TokenRequest): Promise<{ token: string; expiresIn: number }> {
  const { context, req, now, requestId } = call;
  const { tokens, tokenLimits, db } = context;
  const ip = addressOf(req);
  tokenLimits.admit(request.clientId, ip ?? "", now);
  const client = await tokens.findClient(request.clientId, now);
  if (!isProven(client, request)) {
    tokenLimits.fail(request.clientId, ip ?? "", now);
    throw new OAuthProblem("invalid_client", "There is no such client, or its secret is another one");
  }
  const issued = await tokens.issue(client, now);
  const { id } = client.caller;
  await db.write(async (tx) => {
    await client.noteUse?.(tx);
    await appendAudit(tx, { actor: id, action: "token.issue", target: id, outcome: "ok", requestId, ip }, now);
  });
  return issued;
}

function isProven(client: OAuthClient | null, { clientSecret, audience }: TokenRequest): client is OAuthClient {
  const matches = timingSafeEqual(Buffer.from(sha256Hex(clientSecret)), Buffer.from(client?.secretHash ?? NO_HASH));
  return client !== null && matches && (audience === null || audience === AUDIENCE);
}
