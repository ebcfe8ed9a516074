import { AuditCheck, type AuditHead, type AuditRow } from "@maia/domain";
import { type CommonFlags, type Context, connect, printJson } from "../context.js";
import { CliError, usage } from "../errors.js";
import { type ExitCode, exitCodes } from "../exit-codes.js";
import { plain } from "../output/format.js";
import { printTable } from "../output/table.js";
import { type ListFlags, readLimit } from "./runs.js";

export interface AuditFlags extends ListFlags {
  readonly actor?: string;
  readonly action?: string;
  readonly target?: string;
}

/** `maia audit list`: who did what, newest first. */
export async function listAudit(context: Context, flags: AuditFlags): Promise<ExitCode> {
  const api = await connect(context, flags);
  const { actor, action, target } = flags;
  const rows = await api.list<AuditRow>("v1/audit-events", { actor, action, target }, readLimit(flags.limit));
  if (flags.json) {
    printJson(context, rows);
    return exitCodes.ok;
  }
  const cells = rows.map((row) => [String(row.seq), row.at, row.actor, row.action, row.target, row.outcome].map(plain));
  printTable(context.terminal, ["NO.", "AT", "ACTOR", "ACTION", "TARGET", "OUTCOME"], cells);
  return exitCodes.ok;
}

export interface VerifyFlags extends CommonFlags {
  readonly head?: string;
}

const PAGE = 100;

/**
 * `maia audit verify`: reads every entry and checks the chain here, so that the server's word is not needed. With the head
 * of an earlier check, a tail that was cut off since shows too.
 */
export async function verifyAudit(context: Context, flags: VerifyFlags): Promise<ExitCode> {
  const check = new AuditCheck(readHead(flags.head));
  const api = await connect(context, flags);
  for (;;) {
    const query = { order: "asc", after: check.head.seq, limit: PAGE };
    const { items } = await api.get<{ items: readonly AuditRow[] }>("v1/audit-events", query);
    for (const row of items) refuse(check.take(row));
    if (items.length < PAGE) break;
  }
  const verdict = check.end();
  refuse(verdict);
  const { seq, hash } = check.head;
  if (flags.json) printJson(context, verdict);
  else context.terminal.print(`${seq} entries are whole and in order; head ${seq}:${hash}`);
  return exitCodes.ok;
}

function refuse(verdict: { readonly ok: boolean; readonly seq?: number } | null): void {
  if (verdict && !verdict.ok)
    throw new CliError(
      exitCodes.conflict,
      `The audit log is not whole: entry ${verdict.seq} is altered, missing or out of place`,
    );
}

/** `SEQ:HASH`, as `maia audit verify` prints it. */
function readHead(text: string | undefined): AuditHead | undefined {
  if (text === undefined) return undefined;
  const [, seq, hash] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (seq === undefined || hash === undefined) throw usage("--head is what maia audit verify printed before: SEQ:HASH");
  return { seq: Number(seq), hash };
}
