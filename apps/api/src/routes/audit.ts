import { auditAfter, listAudit } from "@maia/db";
import { type AuditRow, MaiaError } from "@maia/domain";
import { type Call, ok, type Route, route } from "../http/route.js";
import { choice, integer, named, nullable, type Of, object, optional, text } from "../http/shapes.js";
import { id, pageOf, pageRequest, paging } from "../present/common.js";

const auditEvent = named(
  "AuditEvent",
  object({
    seq: integer(1, Number.MAX_SAFE_INTEGER, { description: "Counts from 1 without a gap" }),
    id: id("aud"),
    at: text({ format: "date-time", description: "As it was hashed" }),
    actor: text({ description: "The id of an API key, or a part of Maia" }),
    action: text(),
    target: text(),
    outcome: text(),
    requestId: nullable(text()),
    ip: nullable(text()),
    detail: text({ description: "A JSON object as text, as it was hashed. It never holds a secret" }),
    prevHash: text({ description: "The hash of the entry before; empty for the first" }),
    hash: text({ description: "SHA-256 of the canonical JSON (RFC 8785) of the other fields" }),
  }),
);

const FILTER_MAX = 200;

export const auditRoutes: readonly Route[] = [
  route({
    method: "get",
    path: "/v1/audit-events",
    operationId: "listAuditEvents",
    summary: "Who did what to which object, and what came of it, newest first",
    tag: "Audit",
    permission: "audit.read",
    query: {
      ...paging,
      actor: optional(text({ maxLength: FILTER_MAX })),
      action: optional(text({ maxLength: FILTER_MAX })),
      target: optional(text({ maxLength: FILTER_MAX })),
      order: optional(choice(["asc", "desc"], { description: "`asc` goes with `after`, to check the chain" })),
      after: optional(
        integer(0, Number.MAX_SAFE_INTEGER, { description: "With `order=asc`: entries after this number" }),
      ),
    },
    answers: { 200: { description: "A page of entries", shape: pageOf(auditEvent) } },
    handler: async (call) => {
      requireAllProjects(call);
      const { context, query } = call;
      const page = pageRequest(query);
      if (query.order === "asc") {
        const rows = await auditAfter(context.db.sql, query.after ?? 0, page.limit);
        return ok({ items: rows.map(present), nextCursor: null });
      }
      const { items, nextCursor } = await listAudit(context.db.sql, query, page);
      return ok({ items: items.map(present), nextCursor });
    },
  }),
];

/** The log tells of every project, and so is for those who may see all of them. */
function requireAllProjects({ caller }: Call): void {
  if (caller.projects !== null)
    throw new MaiaError("FORBIDDEN", "The audit log is for keys of all projects; this one is for some");
}

function present(row: AuditRow): Of<typeof auditEvent> {
  return { ...row };
}
