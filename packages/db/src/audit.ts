import { canonicalJson, type JsonObject, newId, sha256Hex } from "@maia/domain";
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

/** An entry as it is kept. `hash` covers every other field, and with `prevHash` all entries before it. */
export interface AuditRow {
  readonly seq: number;
  readonly id: string;
  readonly at: string;
  readonly actor: string;
  readonly action: string;
  readonly target: string;
  readonly outcome: string;
  readonly requestId: string | null;
  readonly ip: string | null;
  /** JSON object. */
  readonly detail: string;
  readonly prevHash: string;
  readonly hash: string;
}

/** Where the chain ends. Kept elsewhere, it also shows a tail that was cut off. */
export interface AuditHead {
  readonly seq: number;
  readonly hash: string;
}

/** What `verifyAudit` found. */
export type AuditVerdict =
  | { readonly ok: true; readonly head: AuditHead }
  | { readonly ok: false; readonly seq: number };

/** Before the first entry. */
const START: AuditHead = { seq: 0, hash: "" };
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
  const hash = hashOf(content);
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
  return (await sql.get<AuditHead>(`SELECT "seq", "hash" FROM "AuditEvent" ORDER BY "seq" DESC LIMIT 1`)) ?? START;
}

/**
 * Walks the chain from its first entry. `seq` names the first entry that is altered, missing or out of place.
 * @param expected a head that was noted before: the chain must still contain it.
 */
export async function verifyAudit({ sql }: Pick<Db, "sql">, expected: AuditHead = START): Promise<AuditVerdict> {
  let head = START;
  for (;;) {
    const rows = await sql.all<AuditRow>(
      `SELECT * FROM "AuditEvent" WHERE "seq" > ? ORDER BY "seq" LIMIT ?`,
      head.seq,
      PAGE,
    );
    for (const { hash, ...content } of rows) {
      const inPlace = content.seq === head.seq + 1 && content.prevHash === head.hash;
      const asNoted = content.seq !== expected.seq || hash === expected.hash;
      if (!inPlace || !asNoted || hash !== hashOf(content)) return { ok: false, seq: head.seq + 1 };
      head = { seq: content.seq, hash };
    }
    if (rows.length === PAGE) continue;
    return head.seq < expected.seq ? { ok: false, seq: head.seq + 1 } : { ok: true, head };
  }
}

function hashOf(content: Omit<AuditRow, "hash">): string {
  return sha256Hex(canonicalJson(content));
}
