import type { Db, Tx } from "@maia/db";
import type { Caller } from "../auth.js";
import { findKeyClient } from "./key-client.js";
import { findRunnerClient } from "./runner-client.js";

/** Somebody who has an id and a secret, and may have tokens in exchange (OAuth 2, client credentials). */
export interface OAuthClient {
  /** Who a request with this client's token comes from. `caller.type` says which kind of client it is, `caller.id` which one. */
  readonly caller: Caller;
  /** SHA-256 of the secret, in hexadecimal. Another secret ends every token that was made with the one before. */
  readonly secretHash: string;
  /** Notes, in the transaction that tells of the token, that the secret was used; where the client keeps account of that. */
  readonly noteUse?: (tx: Tx) => Promise<void>;
}

/**
 * Finds the client of an id. It is asked at every request with a token, so a client that is revoked, has run out or was
 * deleted is null from then on, and its tokens have ended.
 */
export type FindClient = (db: Db, clientId: string, now: Date) => Promise<OAuthClient | null>;

/** The kinds of clients, by the prefix of their ids. A new kind is an entry here and nothing else. */
const kinds = new Map<string, FindClient>([
  ["key", findKeyClient],
  ["rnr", findRunnerClient],
]);

/** The client of an id of any kind. */
export const findClient: FindClient = async (db, clientId, now) => {
  const [, prefix] = /^([a-z]+)_[0-9a-z]{1,64}$/.exec(clientId) ?? [];
  return (prefix && (await kinds.get(prefix)?.(db, clientId, now))) || null;
};
