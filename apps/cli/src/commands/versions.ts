import { randomUUID } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { text as readStream } from "node:stream/consumers";
import { type CommonFlags, type Context, connect, printJson } from "../context.js";
import { invalid, usage } from "../errors.js";
import { type ExitCode, exitCodes } from "../exit-codes.js";
import { printChanges, type VersionDiff } from "../output/changes.js";
import { ago, plain } from "../output/format.js";
import { printTable } from "../output/table.js";
import { readLimit } from "./runs.js";

export interface ProjectFlags extends CommonFlags {
  readonly project?: string;
}
export interface MessageFlags extends ProjectFlags {
  readonly message?: string;
}
export interface DiffFlags extends ProjectFlags {
  readonly against?: string;
}
export interface ExportFlags extends ProjectFlags {
  readonly to?: string;
}
export interface ImportFlags extends MessageFlags {
  readonly name?: string;
  readonly aside?: boolean;
}

/** What the API tells of a version. */
export interface Version {
  readonly workflow: string;
  readonly version: number;
  readonly snapHash: string;
  readonly latest: boolean;
  readonly message: string;
  readonly createdBy: string | null;
  readonly createdAt: string;
}

/** `maia versions list WORKFLOW`. */
export async function listVersions(
  context: Context,
  workflow: string,
  flags: ProjectFlags & { readonly limit: string; readonly query?: string },
): Promise<ExitCode> {
  const api = await connect(context, flags);
  const { project, query: q } = flags;
  const versions = await api.list<Version>(versionsOf(workflow), { project, q }, readLimit(flags.limit));
  if (flags.json) {
    printJson(context, versions);
    return exitCodes.ok;
  }
  const now = context.clock();
  const rows = versions.map(({ version, latest, snapHash, createdAt, message }) => {
    const [said = ""] = message.split("\n");
    return [`v${version}`, latest ? "latest" : "", snapHash.slice(0, 12), ago(createdAt, now), plain(said)];
  });
  printTable(context.terminal, ["VERSION", "", "HASH", "MADE", "MESSAGE"], rows);
  if (versions.length === 0) context.terminal.note("Nothing is published yet: maia apply -f workflow.yaml");
  return exitCodes.ok;
}

/** `maia versions show WORKFLOW N`. */
export async function showVersion(
  context: Context,
  workflow: string,
  version: string,
  flags: ProjectFlags,
): Promise<ExitCode> {
  const api = await connect(context, flags);
  const { terminal } = context;
  const path = `${versionsOf(workflow)}/${numberOf(version)}`;
  const found = await api.get<Version & { readonly workflowSnap: Snapshot }>(path, { project: flags.project });
  if (flags.json) {
    printJson(context, found);
    return exitCodes.ok;
  }
  const { snapHash, latest, message, createdBy, createdAt, workflowSnap } = found;
  const title = terminal.paint("bold", `${found.workflow} v${found.version}`);
  terminal.print(`${title}${latest ? " latest" : ""}  ${snapHash}`);
  terminal.print(`made ${createdAt}${createdBy === null ? "" : ` by ${createdBy}`}`);
  for (const line of message.split("\n")) if (line !== "") terminal.print(plain(line));
  const rows = workflowSnap.steps.map(({ key, runtime, deps }) => [key, runtime, deps.join(", ")]);
  printTable(terminal, ["STEP", "RUNTIME", "NEEDS"], rows);
  return exitCodes.ok;
}

interface Snapshot {
  readonly steps: readonly { readonly key: string; readonly runtime: string; readonly deps: readonly string[] }[];
}

/** `maia versions diff WORKFLOW N`. */
export async function diffVersions(
  context: Context,
  workflow: string,
  version: string,
  flags: DiffFlags,
): Promise<ExitCode> {
  const api = await connect(context, flags);
  const { project, against } = flags;
  const diff = await api.get<VersionDiff>(`${versionsOf(workflow)}/${numberOf(version)}/diff`, { project, against });
  if (flags.json) printJson(context, diff);
  else printChanges(context.terminal, diff);
  return exitCodes.ok;
}

/** `maia versions promote WORKFLOW N`. */
export async function promoteVersion(
  context: Context,
  workflow: string,
  version: string,
  flags: MessageFlags,
): Promise<ExitCode> {
  const api = await connect(context, flags);
  const { project, message } = flags;
  const path = `${versionsOf(workflow)}/${numberOf(version)}/promote${queryOf({ project, message })}`;
  const { body } = await api.post<Version>(path, {}, { "idempotency-key": randomUUID() });
  if (flags.json) printJson(context, body);
  else context.terminal.print(`${body.workflow} v${body.version} is what jobs get now`);
  return exitCodes.ok;
}

/** `maia versions export WORKFLOW N`: the bytes as the API gives them. */
export async function exportVersion(
  context: Context,
  workflow: string,
  version: string,
  flags: ExportFlags,
): Promise<ExitCode> {
  const api = await connect(context, flags);
  const { project, to } = flags;
  const text = await api.getText(`${versionsOf(workflow)}/${numberOf(version)}/export${queryOf({ project })}`);
  if (to === undefined || to === "-") {
    context.terminal.print(text);
    return exitCodes.ok;
  }
  await writeFile(to, text);
  context.terminal.print(to);
  return exitCodes.ok;
}

/** `maia versions import FILE`. */
export async function importVersion(context: Context, file: string, flags: ImportFlags): Promise<ExitCode> {
  const bundle = await readBundle(file);
  const workflow = flags.name ?? bundle.workflow;
  if (typeof workflow !== "string" || workflow === "")
    throw invalid(`${file} names no workflow; say which with --name`);
  const { message, project, aside } = flags;
  const api = await connect(context, flags);
  const request = { bundle, ...(message === undefined ? {} : { message }), ...(aside ? { latest: false } : {}) };
  const path = `${versionsOf(workflow)}${queryOf({ project })}`;
  const { body } = await api.post<Version & { restored?: boolean }>(path, request, { "idempotency-key": randomUUID() });
  if (flags.json) printJson(context, body);
  else context.terminal.print(`${body.workflow} v${body.version}${body.latest ? " is what jobs get now" : ""}`);
  if (body.restored) context.terminal.note("The workflow had been deleted; it is back with its versions");
  return exitCodes.ok;
}

async function readBundle(file: string): Promise<Readonly<Record<string, unknown>>> {
  const read = file === "-" ? readStream(process.stdin) : readFile(file, "utf8");
  const text = await read.catch((error: NodeJS.ErrnoException) => {
    throw usage(`${file} cannot be read: ${error.code}`);
  });
  try {
    const bundle: unknown = JSON.parse(text);
    if (typeof bundle === "object" && bundle !== null) return bundle as Record<string, unknown>;
  } catch {
    // said below
  }
  throw invalid(`${file} is no bundle: it must be JSON as \`maia versions export\` writes it`);
}

/** Where the versions of a workflow are. */
export function versionsOf(workflow: string): string {
  return `v1/workflows/${encodeURIComponent(workflow)}/versions`;
}

function numberOf(version: string): string {
  const [, number] = /^v?([1-9]\d{0,8})$/.exec(version) ?? [];
  if (number === undefined) throw usage(`${version}: a version is a number such as 3, or v3`);
  return number;
}

/** A query as part of an address; what is undefined is left out. */
export function queryOf(values: Readonly<Record<string, string | undefined>>): string {
  const given = Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return given.length === 0 ? "" : `?${new URLSearchParams(given)}`;
}
