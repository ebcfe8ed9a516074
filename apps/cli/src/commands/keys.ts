import { randomUUID } from "node:crypto";
import type { ApiKey, Project } from "../api-types.js";
import { type CommonFlags, type Context, connect, printJson } from "../context.js";
import { CliError, usage } from "../errors.js";
import { type ExitCode, exitCodes } from "../exit-codes.js";
import { plain } from "../output/format.js";
import { printTable } from "../output/table.js";
import { readDuration } from "./run.js";
import { readLimit } from "./runs.js";

export interface ListKeysFlags extends CommonFlags {
  readonly limit: string;
  readonly all?: boolean;
}

/** Most projects that are asked for, to show their names. */
const PROJECTS_MAX = 1_000;

/** `maia keys list`: keys that count, newest first; with `--all` those that are revoked or have run out too. */
export async function listKeys(context: Context, flags: ListKeysFlags): Promise<ExitCode> {
  const api = await connect(context, flags);
  const now = context.clock();
  const isWanted = flags.all ? undefined : (key: ApiKey) => stateOf(key, now) === "valid";
  const keys = await api.list("v1/api-keys", {}, readLimit(flags.limit), isWanted);
  if (flags.json) {
    printJson(context, keys);
    return exitCodes.ok;
  }
  const projects = await api.list<Project>("v1/projects", {}, PROJECTS_MAX);
  const names = new Map(projects.map(({ id, name }) => [id, name]));
  const rows = keys.map((key) => [
    key.id,
    plain(key.name),
    key.role,
    key.projects === null ? "all" : key.projects.map((id) => plain(names.get(id) ?? id)).join(","),
    key.expiresAt ?? "never",
    key.lastUsedAt ?? "never",
    stateOf(key, now),
  ]);
  printTable(context.terminal, ["KEY", "NAME", "ROLE", "PROJECTS", "EXPIRES", "LAST USED", "STATE"], rows);
  return exitCodes.ok;
}

function stateOf({ revokedAt, expiresAt }: ApiKey, now: Date): "valid" | "revoked" | "expired" {
  if (revokedAt !== null) return "revoked";
  return expiresAt !== null && new Date(expiresAt) <= now ? "expired" : "valid";
}

export interface CreateKeyFlags extends CommonFlags {
  readonly role: string;
  readonly project?: readonly string[];
  readonly expires?: string;
}

/** `maia keys create NAME`: prints the key itself and nothing else to stdout, since it is shown this once. */
export async function createKey(context: Context, name: string, flags: CreateKeyFlags): Promise<ExitCode> {
  const { role, project = null, expires } = flags;
  const expiresAt = expires === undefined ? null : readExpiry(expires, context.clock());
  const api = await connect(context, flags);
  const wanted = { name, role, projects: project, expiresAt };
  const once = { "Idempotency-Key": randomUUID() };
  const { body } = await api.post<ApiKey & { readonly key?: string }>("v1/api-keys", wanted, once);
  if (body.key === undefined)
    throw new CliError(
      exitCodes.unreachable,
      `The key ${body.id} was made, but was lost on the way; revoke it and make another`,
    );
  if (flags.json) {
    printJson(context, body);
    return exitCodes.ok;
  }
  const { terminal } = context;
  terminal.print(body.key);
  terminal.note(
    `${body.id} may do what ${role === "viewer" ? "a" : "an"} ${role} may. It is not shown again: keep it now`,
  );
  return exitCodes.ok;
}

/** `90d`, `12h`, or a moment. @throws {CliError} on anything else. */
function readExpiry(text: string, now: Date): string {
  const days = /^(\d+)d$/.exec(text)?.[1];
  if (days !== undefined) return new Date(now.getTime() + Number(days) * 86_400_000).toISOString();
  if (/^\d+(\.\d+)?[smh]$/.test(text)) return new Date(now.getTime() + readDuration(text, "--expires")).toISOString();
  if (/^\d{4}-\d\d-\d\dT/.test(text)) return text;
  throw usage(
    `--expires ${text}: it must be a length of time such as 90d or 12h, or a moment such as 2027-01-31T00:00:00Z`,
  );
}

/** `maia keys revoke ID`: at once and for good, its tokens with it. */
export async function revokeKey(context: Context, id: string, flags: CommonFlags): Promise<ExitCode> {
  const api = await connect(context, flags);
  await api.delete(`v1/api-keys/${encodeURIComponent(id)}`);
  if (flags.json) printJson(context, { id, revoked: true });
  else context.terminal.print(`${plain(id)} is revoked`);
  return exitCodes.ok;
}
