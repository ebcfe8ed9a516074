import { type ApiKey, createApiKey, findApiKey, findProject, listApiKeys, revokeApiKey } from "@maia/db";
import { DAY, invalid, MaiaError } from "@maia/domain";
import { audited } from "../audited.js";
import type { Caller } from "../auth.js";
import { type Call, created, ok, type Route, route } from "../http/route.js";
import { choice, list, named, nullable, type Of, object, optional, text } from "../http/shapes.js";
import { makeOnce, replayHeader } from "../idempotency.js";
import { found } from "../lookup.js";
import { pageThrough } from "../page-through.js";
import { roles } from "../permissions.js";
import { id, iso, moment, nameOf, pageOf, pageRequest, paging } from "../present/common.js";

const MAX_LIFE_MS = 3_660 * DAY;

const keyFields = {
  id: id("key"),
  name: nameOf(100),
  role: choice(roles),
  projects: nullable(list(text(), 1_000, { description: "Ids; null is every project" })),
  lastFour: text(),
  createdAt: moment,
  expiresAt: nullable(moment),
  revokedAt: nullable(moment),
  lastUsedAt: nullable(moment),
} as const;

const apiKey = named("ApiKey", object(keyFields));
const newApiKey = named(
  "ApiKeyWithSecret",
  object({ ...keyFields, key: optional(text({ description: "The key itself. It is shown this once" })) }),
);
const keyRequest = named(
  "NewApiKeyRequest",
  object({
    name: nameOf(100),
    role: choice(roles),
    projects: optional(nullable(list(text({ description: "By id or by name" }), 1_000))),
    expiresAt: optional(nullable(text({ format: "date-time" }))),
  }),
);

function present(key: ApiKey): Of<typeof apiKey> {
  const { id, name, projects, lastFour } = key;
  const role = roles.find((known) => known === key.role) ?? "viewer";
  const { createdAt, expiresAt, revokedAt, lastUsedAt } = key;
  const times = {
    createdAt: iso(createdAt),
    expiresAt: iso(expiresAt),
    revokedAt: iso(revokedAt),
    lastUsedAt: iso(lastUsedAt),
  };
  return { id, name, role, projects, lastFour, ...times };
}

/** A key for some projects sees and makes only keys for those. */
function isWithin(projects: readonly string[] | null, caller: Caller): boolean {
  if (caller.projects === null) return true;
  return projects?.every((project) => caller.projects?.includes(project)) ?? false;
}

/** The ids of the projects that a request names. @throws {MaiaError} INVALID, FORBIDDEN */
async function projectIds({ context, caller }: Call, refs: readonly string[] | null): Promise<string[] | null> {
  const ids =
    refs === null ? null : await Promise.all(refs.map(async (ref) => (await findProject(context.db.sql, ref))?.id));
  const missing = ids?.findIndex((id) => id === undefined || !isWithin([id], caller)) ?? -1;
  if (missing >= 0) throw invalid([{ pointer: `/projects/${missing}`, message: "there is no such project" }]);
  const unique = ids && [...new Set(ids as string[])];
  if (!isWithin(unique, caller)) throw new MaiaError("FORBIDDEN", "A key for some projects cannot make keys for all");
  return unique;
}

/** When a key ends. @throws {MaiaError} INVALID where that is no moment ahead, or too far. */
function expiryOf(textOrNull: string | null, now: Date): Date | null {
  if (textOrNull === null) return null;
  const isMoment = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/.test(textOrNull);
  const at = new Date(isMoment ? textOrNull : Number.NaN);
  const inMs = at.getTime() - now.getTime();
  if (inMs > 0 && inMs < MAX_LIFE_MS) return at;
  throw invalid([{ pointer: "/expiresAt", message: "must be a moment ahead, in RFC 3339, at most ten years away" }]);
}

export const keyRoutes: readonly Route[] = [
  route({
    method: "get",
    path: "/v1/api-keys",
    operationId: "listApiKeys",
    summary: "API keys without their secrets, newest first",
    tag: "API keys",
    permission: "keys.manage",
    query: paging,
    answers: { 200: { description: "A page of keys", shape: pageOf(apiKey) } },
    handler: async ({ context, caller, query }) => {
      const keys = (await listApiKeys(context.db)).filter((key) => isWithin(key.projects, caller));
      const page = pageThrough(keys, pageRequest(query), "key");
      return ok({ ...page, items: page.items.map(present) });
    },
  }),
  route({
    method: "post",
    path: "/v1/api-keys",
    operationId: "createApiKey",
    summary: "Makes an API key",
    tag: "API keys",
    permission: "keys.manage",
    requestHeaders: { "Idempotency-Key": "Makes asking again safe; the key itself is answered the first time only" },
    body: { shape: keyRequest, example: { name: "ci", role: "operator", projects: ["default"] } },
    answers: { 201: { description: "The key", shape: newApiKey } },
    handler: async (call) => {
      const { context, body, now } = call;
      const projects = await projectIds(call, body.projects ?? null);
      const expiresAt = expiryOf(body.expiresAt ?? null, now);
      const { location, made } = await makeOnce(call, async (tx) => {
        const made = await createApiKey(tx, { name: body.name, role: body.role, projects, expiresAt }, now);
        await audited(tx, call, "key.create", made.key.id, { name: body.name, role: body.role, projects });
        return { location: `/v1/api-keys/${made.key.id}`, made };
      });
      const key = made?.key ?? found(await findApiKey(context.db.sql, location.split("/").at(-1)!), "key");
      return created(
        location,
        { ...present(key), ...(made ? { key: made.presented } : {}) },
        replayHeader(made === null),
      );
    },
  }),
  route({
    method: "get",
    path: "/v1/api-keys/{id}",
    operationId: "getApiKey",
    summary: "An API key without its secret",
    tag: "API keys",
    permission: "keys.manage",
    answers: { 200: { description: "The key", shape: apiKey } },
    handler: async (call) => ok(present(await visibleKey(call))),
  }),
  route({
    method: "delete",
    path: "/v1/api-keys/{id}",
    operationId: "revokeApiKey",
    summary: "Revokes an API key: it is refused at once. Doing it again changes nothing",
    tag: "API keys",
    permission: "keys.manage",
    answers: { 204: { description: "It is revoked" } },
    handler: async (call) => {
      const { id } = await visibleKey(call);
      await call.context.db.write(async (tx) => {
        if (await revokeApiKey(tx, id, call.now)) await audited(tx, call, "key.revoke", id);
      });
      return { status: 204 };
    },
  }),
];

async function visibleKey({ context, caller, params }: Call<{ readonly id: string }>): Promise<ApiKey> {
  const key = await findApiKey(context.db.sql, params.id);
  return found(key && isWithin(key.projects, caller) ? key : null, "key");
}
