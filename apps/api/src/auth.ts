import type { IncomingMessage } from "node:http";
import { type ApiKey, findApiKey, findApiKeyBySecret, touchApiKey } from "@maia/db";
import { MaiaError, MINUTE } from "@maia/domain";
import type { ApiContext } from "./context.js";
import { addressOf } from "./http/address.js";
import { HttpProblem } from "./http/problems.js";
import { isAllowed, type Permission, type Role, roles } from "./permissions.js";
import { retryAfter } from "./rate-limit.js";

/** Who asks. */
export interface Caller {
  /** What kind of credentials they have; null is none. */
  readonly type: "key" | "runner" | null;
  /** The id of the API key or the runner; `anonymous` without credentials. */
  readonly id: string;
  readonly name: string;
  readonly role: Role | null;
  /** The projects whose objects exist for this caller; null is all. */
  readonly projects: readonly string[] | null;
  /** When the token ends that they came with; null where they came with a key. */
  readonly until: Date | null;
}

/** Somebody without credentials, for whom nothing exists. */
export const anonymous: Caller = {
  type: null,
  id: "anonymous",
  name: "anonymous",
  role: null,
  projects: [],
  until: null,
};

/** RFC 6750: the scheme in any case, one space, a b64token. */
const BEARER = /^bearer +([A-Za-z0-9._~+/-]+=*)$/i;

/**
 * Finds out who asks, by an API key or by a token.
 * @throws {HttpProblem} UNAUTHENTICATED, with the same words whatever was wrong; RATE_LIMITED for one who keeps trying.
 */
export async function authenticate(context: ApiContext, req: IncomingMessage): Promise<Caller> {
  const { authorization } = req.headers;
  if (authorization === undefined) {
    throw new HttpProblem("UNAUTHENTICATED", "Send an API key or a token as Authorization: Bearer KEY");
  }
  const presented = BEARER.exec(authorization)?.[1];
  const now = context.clock();
  const caller = presented ? await callerWith(context, presented, now) : null;
  if (caller) return caller;
  const waitMs = context.badCredentials.take(addressOf(req) ?? "", now);
  if (waitMs === 0) throw new HttpProblem("UNAUTHENTICATED", "The API key or token is not valid");
  throw new HttpProblem("RATE_LIMITED", "Too many credentials that are not valid", retryAfter(waitMs));
}

/** How many credentials that are not valid one address may try per minute before it is told to wait. */
export const BAD_CREDENTIALS_PER_MINUTE = 60;

/** Three parts of base64url: a JWT (RFC 7515), which no key looks like. */
const TOKEN = /^[\w-]+\.[\w-]+\.[\w-]+$/;

async function callerWith(context: ApiContext, presented: string, now: Date): Promise<Caller | null> {
  if (TOKEN.test(presented)) return context.tokens.verify(presented, now);
  const key = await findApiKeyBySecret(context.db, presented, now);
  if (!key) return null;
  if (now.getTime() - (key.lastUsedAt?.getTime() ?? 0) > USE_NOTED_EVERY_MS) noteUse(context, key, now);
  return callerOf(key);
}

/** How exactly a key's last use is known, in milliseconds. */
const USE_NOTED_EVERY_MS = 5 * MINUTE;
const beingNoted = new Set<string>();

/** Nobody waits for this note, and losing one does not matter. */
function noteUse({ db, logger }: ApiContext, { id }: ApiKey, now: Date): void {
  if (beingNoted.has(id)) return;
  beingNoted.add(id);
  db.write((tx) => touchApiKey(tx, id, now))
    .catch((error) => logger.debug("the use of a key could not be noted", { keyId: id, error }))
    .finally(() => beingNoted.delete(id));
}

/** True while the caller's key, and the token that it came with, count: for those who stay longer than one request. */
export async function isStillValid({ db, clock }: ApiContext, { id, until }: Caller): Promise<boolean> {
  const key = await findApiKey(db.sql, id);
  if (key === null || key.revokedAt !== null) return false;
  return [key.expiresAt, until].every((end) => end === null || end > clock());
}

/** The caller that a key stands for. A role that this version does not know may do nothing. */
export function callerOf(key: ApiKey): Caller {
  const role = roles.find((known) => known === key.role) ?? null;
  return { type: "key", id: key.id, name: key.name, role, projects: key.projects, until: null };
}

/** @throws {MaiaError} FORBIDDEN where the caller's role does not have the permission. */
export function authorize({ type, role }: Caller, permission: Permission): void {
  if (isAllowed(type === "runner" ? type : role, permission)) return;
  if (type === "runner") throw new MaiaError("FORBIDDEN", "A runner's token is for the runner's own routes only");
  throw new MaiaError("FORBIDDEN", `The role ${role ?? "of this key"} does not have the permission ${permission}`);
}

/** True if objects of the project exist for the caller. */
export function canSee({ projects }: Caller, projectId: string): boolean {
  return projects === null || projects.includes(projectId);
}
