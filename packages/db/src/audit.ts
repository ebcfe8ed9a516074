import {
  AUDIT_START,
  AuditCheck,
  type AuditHead,
  type AuditRow,
  type AuditVerdict,
  auditHash,
  canonicalJson,
  type JsonObject,
  newId,
} from "@maia/domain";
import { fromCursor, type Page, type PageRequest, toPage } from "./pages.js";
import { toDbTime } from "./time.js";
import type { Db, Sql, Tx } from "./types.js";

/** Something that matters for security: who did what to which object, and what came of it. */
export interface AuditEntry {
  readonly actor: string;
  readonly action: string;
  readonly target: string;
  readonly outcome: string;
  readonly requestId?: string | null;
  readonly ip?: string | null;
  /** Never a secret: digests, or redacted. */
  readonly detail?: JsonObject;
}

const PAGE = 500;

/** Appends an entry, in the transaction of the change that it tells of. */
export async function appendAudit({ sql }: Tx, entry: AuditEntry, now: Date): Promise<AuditHead> {
  const head = await auditHead(sql);
  const content = {
    seq: head.seq + 1,
    id: newId("audit", now),
    at: toDbTime(now),
    actor: entry.actor,
    action: entry.action,
    target: entry.target,
    outcome: entry.outcome,
    requestId: entry.requestId ?? null,
    ip: entry.ip ?? null,
    detail: canonicalJson(entry.detail ?? {}),
    prevHash: head.hash,
  };
  const hash = auditHash(content);
  await sql.run(
    `INSERT INTO "AuditEvent" ("seq", "id", "at", "actor", "action", "target", "outcome", "requestId", "ip", "detail", "prevHash", "hash")
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    content.seq,
    content.id,
    content.at,
    content.actor,
    content.action,
    content.target,
    content.outcome,
    content.requestId,
    content.ip,
    content.detail,
    content.prevHash,
    hash,
  );
  return { seq: content.seq, hash };
}

/** The newest entry's number and hash. */
export async function auditHead(sql: Sql): Promise<AuditHead> {
  return (
    (await sql.get<AuditHead>(`SELECT "seq", "hash" FROM "AuditEvent" ORDER BY "seq" DESC LIMIT 1`)) ?? AUDIT_START
  );
}

/**
 * Walks the chain from its first entry. `seq` names the first entry that is altered, missing or out of place.
 * @param expected a head that was noted before: the chain must still contain it.
 */
export async function verifyAudit({ sql }: Pick<Db, "sql">, expected?: AuditHead): Promise<AuditVerdict> {
  const check = new AuditCheck(expected);
  for (;;) {
    const rows = await auditAfter(sql, check.head.seq, PAGE);
    for (const row of rows) {
      const fault = check.take(row);
      if (fault) return fault;
    }
    if (rows.length < PAGE) return check.end();
  }
}

/** Entries after a number, the oldest first. */
export async function auditAfter(sql: Sql, seq: number, limit: number): Promise<AuditRow[]> {
  return sql.all(`SELECT * FROM "AuditEvent" WHERE "seq" > ? ORDER BY "seq" LIMIT ?`, seq, limit);
}

/** What a list of entries may be narrowed by. */
export interface AuditFilter {
  readonly actor?: string | undefined;
  readonly action?: string | undefined;
  readonly target?: string | undefined;
}

/** Entries, newest first. */
export async function listAudit(sql: Sql, filter: AuditFilter, page: PageRequest): Promise<Page<AuditRow>> {
  const before = page.cursor === null ? Number.MAX_SAFE_INTEGER : Number(fromCursor(page.cursor, /^\d{1,15}$/));
  const names = (["actor", "action", "target"] as const).filter((name) => filter[name] !== undefined);
  const rows = await sql.all<AuditRow>(
    `SELECT * FROM "AuditEvent" WHERE "seq" < ?${names.map((name) => ` AND "${name}" = ?`).join("")} ORDER BY "seq" DESC LIMIT ?`,
    before,
    ...names.map((name) => filter[name]!),
    page.limit + 1,
  );
  return toPage(
    rows,
    page,
    (row) => row.seq,
    (row) => row,
  );
}
