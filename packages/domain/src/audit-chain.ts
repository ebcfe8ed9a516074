import { canonicalJson, sha256Hex } from "./canonical-json.js";

/** An entry of the audit log. `hash` covers every other field, and with `prevHash` all entries before it. */
export interface AuditRow {
  readonly seq: number;
  readonly id: string;
  /** RFC 3339 in UTC, with milliseconds and `+00:00`, as it was hashed. */
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

/** What came of checking a chain; `seq` is the first entry that is altered, missing or out of place. */
export type AuditVerdict =
  | { readonly ok: true; readonly head: AuditHead }
  | { readonly ok: false; readonly seq: number };

/** Before the first entry. */
export const AUDIT_START: AuditHead = { seq: 0, hash: "" };

/** The hash of an entry: SHA-256 of its canonical JSON without it. */
export function auditHash({
  seq,
  id,
  at,
  actor,
  action,
  target,
  outcome,
  requestId,
  ip,
  detail,
  prevHash,
}: Omit<AuditRow, "hash">): string {
  const content = { seq, id, at, actor, action, target, outcome, requestId, ip, detail, prevHash };
  return sha256Hex(canonicalJson(content));
}

/**
 * Checks entries in their order, from the first on.
 * @param expected a head that was noted before: the chain must still contain it.
 */
export class AuditCheck {
  #head = AUDIT_START;

  constructor(private readonly expected: AuditHead = AUDIT_START) {}

  get head(): AuditHead {
    return this.#head;
  }

  /** Takes the next entry. Null: all is well so far. */
  take(row: AuditRow): { readonly ok: false; readonly seq: number } | null {
    const { seq, hash } = this.#head;
    const inPlace = row.seq === seq + 1 && row.prevHash === hash;
    const asNoted = row.seq !== this.expected.seq || row.hash === this.expected.hash;
    if (!inPlace || !asNoted || row.hash !== auditHash(row)) return { ok: false, seq: seq + 1 };
    this.#head = { seq: row.seq, hash: row.hash };
    return null;
  }

  /** What holds of the chain when it has no more entries. */
  end(): AuditVerdict {
    const { head, expected } = this;
    return head.seq < expected.seq ? { ok: false, seq: head.seq + 1 } : { ok: true, head };
  }
}
