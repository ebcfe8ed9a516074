import type { IncomingMessage } from "node:http";
import { type ApiKey, findApiKey, findApiKeyBySecret, touchApiKey } from "@maia/db";
import { MaiaError, MINUTE } from "@maia/domain";
import type { ApiContext } from "./context.js";
import { HttpProblem } from "./http/problems.js";
import { isAllowed, type Permission, type Role, roles } from "./permissions.js";

/** Who asks. */
export interface Caller {
  /** The API key's id; `anonymous` without one. */
  readonly id: string;
  readonly name: string;
  readonly role: Role | null;
  /** The projects whose objects exist for this caller; null is all. */
  readonly projects: readonly string[] | null;
}

/** Somebody without credentials, for whom nothing exists. */
export const anonymous: Caller = { id: "anonymous", name: "anonymous", role: null, projects: [] };

/** RFC 6750: the scheme in any case, one space, a b64token. */
const BEARER = /^bearer +([A-Za-z0-9._~+/-]+=*)$/i;

/** Finds out who asks. @throws {HttpProblem} UNAUTHENTICATED, with the same words whatever was wrong with the key. */
export async function authenticate(context: ApiContext, req: IncomingMessage): Promise<Caller> {
  const { authorization } = req.headers;
  if (authorization === undefined) {
    throw new HttpProblem("UNAUTHENTICATED", "Send an API key as Authorization: Bearer KEY");
  }
  const token = BEARER.exec(authorization)?.[1];
  const now = context.clock();
  const key = token ? await findApiKeyBySecret(context.db, token, now) : null;
  if (!key) throw new HttpProblem("UNAUTHENTICATED", "The API key is not valid");
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

/** True while the caller's key counts: for those who stay longer than one request. */
export async function isStillValid({ db, clock }: ApiContext, { id }: Caller): Promise<boolean> {
  const key = await findApiKey(db.sql, id);
  return key !== null && key.revokedAt === null && (key.expiresAt === null || key.expiresAt > clock());
}

/** The caller that a key stands for. A role that this version does not know may do nothing. */
export function callerOf(key: ApiKey): Caller {
  const role = roles.find((known) => known === key.role) ?? null;
  return { id: key.id, name: key.name, role, projects: key.projects };
}

/** @throws {MaiaError} FORBIDDEN where the caller's role does not have the permission. */
export function authorize({ role }: Caller, permission: Permission): void {
  if (isAllowed(role, permission)) return;
  throw new MaiaError("FORBIDDEN", `The role ${role ?? "of this key"} does not have the permission ${permission}`);
}

/** True if objects of the project exist for the caller. */
export function canSee({ projects }: Caller, projectId: string): boolean {
  return projects === null || projects.includes(projectId);
}
