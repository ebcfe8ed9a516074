import { randomUUID } from "node:crypto";
import type { Db } from "@maia/db";
import { sha256Hex } from "@maia/domain";
import type { Caller } from "../auth.js";
import { findClient, type OAuthClient } from "./clients.js";
import type { SigningKeys } from "./signing-keys.js";

/** Fixed, so that a token can neither come from nor be meant for anybody else. */
export const ISSUER = "maia";
export const AUDIENCE = "maia";

const ALGORITHM = "EdDSA";
/** RFC 9068. */
const TYPE = "at+jwt";
const CLAIMS = ["sub", "cred", "iat", "exp", "jti"];

interface TokenSettings {
  readonly db: Db;
  readonly keys: SigningKeys;
  readonly ttlMs: number;
}

/** Makes access tokens (JWT) and tells whose a token is. A token says who; what they may is looked up at every request. */
export class Tokens {
  constructor(private readonly settings: TokenSettings) {}

  /** The client of an id, if it counts now. */
  findClient(clientId: string, now: Date): Promise<OAuthClient | null> {
    return findClient(this.settings.db, clientId, now);
  }

  /** A token for a client, and after how many seconds it ends. */
  async issue(client: OAuthClient, now: Date): Promise<{ token: string; expiresIn: number }> {
    const { SignJWT } = await import("jose");
    const { id, privateKey } = await this.settings.keys.current();
    const issuedAt = Math.floor(now.getTime() / 1_000);
    const expiresIn = Math.max(1, Math.floor(this.settings.ttlMs / 1_000));
    const token = await new SignJWT({ client_id: client.caller.id, cred: credentialOf(client) })
      .setProtectedHeader({ alg: ALGORITHM, typ: TYPE, kid: id })
      .setIssuer(ISSUER)
      .setAudience(AUDIENCE)
      .setSubject(client.caller.id)
      .setJti(randomUUID())
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + expiresIn)
      .sign(privateKey);
    return { token, expiresIn };
  }

  /** Whose token it is; null where it is none of ours, has ended, or its client no longer has the secret that it was made with. */
  async verify(token: string, now: Date): Promise<Caller | null> {
    const claims = await this.#read(token, now);
    if (!claims) return null;
    const client = await this.findClient(claims.sub, now);
    if (!client || credentialOf(client) !== claims.cred) return null;
    return { ...client.caller, until: new Date(claims.exp * 1_000) };
  }

  async #read(token: string, now: Date): Promise<{ sub: string; cred: string; exp: number } | null> {
    const { errors, jwtVerify } = await import("jose");
    const { keys } = this.settings;
    try {
      const { payload } = await jwtVerify<{ cred: string }>(
        token,
        async ({ kid }) => {
          const key = typeof kid === "string" ? await keys.find(kid) : null;
          if (!key) throw new errors.JWKSNoMatchingKey();
          return key.publicKey;
        },
        {
          algorithms: [ALGORITHM],
          typ: TYPE,
          issuer: ISSUER,
          audience: AUDIENCE,
          requiredClaims: CLAIMS,
          currentDate: now,
        },
      );
      return { sub: payload.sub!, cred: payload.cred, exp: payload.exp! };
    } catch (error) {
      if (error instanceof errors.JOSEError) return null;
      throw error;
    }
  }
}

/** Tells one secret of a client from the next, and nothing about either. */
function credentialOf({ secretHash }: OAuthClient): string {
  return sha256Hex(`maia token ${secretHash}`).slice(0, 32);
}
