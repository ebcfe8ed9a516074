import type { ApiClient } from "../api-client.js";
import type { Runner, RunnerActivity } from "../api-types.js";
import { confirmed } from "../confirm.js";
import { type CommonFlags, type Context, connect, printJson } from "../context.js";
import { type ExitCode, exitCodes } from "../exit-codes.js";
import { ago, plain } from "../output/format.js";
import {
  type Credentials,
  printCredentials,
  printRunner,
  statusCell,
  statusLine,
  versionOf,
  whereOf,
} from "../output/runner.js";
import { printTable } from "../output/table.js";
import { readWhole } from "./run.js";
import { readLimit } from "./runs.js";

export const pathOf = (ref: string) => `v1/runners/${encodeURIComponent(ref)}`;

export interface ListFlags extends CommonFlags {
  readonly limit: string;
}

/** `maia runners list`: the newest first. */
export async function listRunners(context: Context, flags: ListFlags): Promise<ExitCode> {
  const api = await connect(context, flags);
  const runners = await api.list<Runner>("v1/runners", {}, readLimit(flags.limit));
  if (flags.json) {
    printJson(context, runners);
    return exitCodes.ok;
  }
  const rows = runners.map((runner) => [
    plain(runner.name),
    statusCell(runner),
    whereOf(runner),
    runner.type,
    String(runner.instances),
    String(runner.inFlight),
    String(runner.queued),
    versionOf(runner),
  ]);
  printTable(
    context.terminal,
    ["RUNNER", "STATUS", "PLATFORM", "TYPE", "INSTANCES", "IN FLIGHT", "QUEUED", "VERSION"],
    rows,
  );
  return exitCodes.ok;
}

/** `maia runners show RUNNER`. */
export async function showRunner(context: Context, ref: string, flags: CommonFlags): Promise<ExitCode> {
  const api = await connect(context, flags);
  const runner = await api.get<Runner>(pathOf(ref));
  if (flags.json) printJson(context, runner);
  else printRunner(context, runner);
  return exitCodes.ok;
}

export interface CommandFlags extends CommonFlags {
  readonly note?: string;
  readonly yes?: boolean;
}

/** What people type to say that they mean it. */
const PAUSE_WORDS = "pause runner";

/** `maia runners pause|resume|restart|stop RUNNER`. A pause is confirmed by typing, since queued work waits for its end. */
export async function commandRunner(
  context: Context,
  command: "PAUSE" | "RESUME" | "RESTART" | "STOP",
  ref: string,
  flags: CommandFlags,
): Promise<ExitCode> {
  if (command === "PAUSE") {
    const question = `New tasks for ${ref} are queued until it is resumed, by you or after 12 hours. Type "${PAUSE_WORDS}" to pause it`;
    await confirmed(context, question, PAUSE_WORDS, flags.yes);
  }
  const api = await connect(context, flags);
  const body = { command, ...(flags.note === undefined ? {} : { note: flags.note }) };
  const { body: runner } = await api.post<Runner>(`${pathOf(ref)}/commands`, body);
  if (flags.json) printJson(context, runner);
  else context.terminal.print(`${plain(runner.name)} ${statusLine(runner)}`);
  return exitCodes.ok;
}

export interface RemoveFlags extends CommonFlags {
  readonly force?: boolean;
}

interface Removed {
  readonly name: string;
  readonly remains: string;
}

/** `maia runners remove RUNNER`: and what stays behind. */
export async function removeRunner(context: Context, ref: string, flags: RemoveFlags): Promise<ExitCode> {
  const api = await connect(context, flags);
  const removed = await api.deleteFor<Removed>(pathOf(ref), flags.force ? { force: "true" } : {});
  if (flags.json) printJson(context, removed);
  else context.terminal.print(`${plain(removed.name)} is removed. ${removed.remains}`);
  return exitCodes.ok;
}

export interface CredentialFlags extends CommonFlags {
  readonly refresh?: boolean;
  readonly yes?: boolean;
}

/** `maia runners credentials RUNNER [--refresh]`: shows them, or puts a new secret in place of the old one. */
export async function credentials(context: Context, ref: string, flags: CredentialFlags): Promise<ExitCode> {
  if (flags.refresh) {
    const question = `The old secret of ${ref} is refused at once, and its instances are cut off. Type "refresh" to go on`;
    await confirmed(context, question, "refresh", flags.yes);
  }
  const api = await connect(context, flags);
  const path = `${pathOf(ref)}/credentials`;
  const found = flags.refresh
    ? (await api.post<Credentials>(path, { action: "SECRET_REFRESH" })).body
    : await api.get<Credentials>(path);
  if (flags.json) printJson(context, found);
  else printCredentials(context, found);
  return exitCodes.ok;
}

interface Connectivity {
  readonly result: string;
  readonly host: string;
  readonly port: number;
  readonly detail?: string;
}

/** `maia runners test RUNNER HOST PORT`: JSON in any case, as the answer is. Exit code 1 where there was no connection. */
export async function testConnection(
  context: Context,
  [ref, host, port]: readonly [string, string, string],
  flags: CommonFlags,
): Promise<ExitCode> {
  const api = await connect(context, flags);
  const body = { host, port: readWhole(port, "PORT") };
  const { body: found } = await api.post<Connectivity>(`${pathOf(ref)}/connectivity`, body);
  printJson(context, found);
  return found.result === "SUCCESS" ? exitCodes.ok : exitCodes.unexpected;
}

/** `maia runners activity RUNNER`: who did what, the newest first. */
export async function activity(context: Context, ref: string, flags: ListFlags): Promise<ExitCode> {
  const api = await connect(context, flags);
  const items = await api.list<RunnerActivity>(`${pathOf(ref)}/activity`, {}, readLimit(flags.limit));
  if (flags.json) {
    printJson(context, items);
    return exitCodes.ok;
  }
  const now = context.clock();
  const rows = items.map(({ at, actor, action, note, data }) => [
    context.terminal.isTty ? ago(at, now) : at,
    action,
    plain(actor),
    plain([factsOf(action, data), note].filter((text) => text !== "").join(": ")),
  ]);
  printTable(context.terminal, ["WHEN", "WHAT", "WHO", "ABOUT"], rows);
  return exitCodes.ok;
}

/** What an entry is about, as far as its name does not say it. */
function factsOf(action: string, data: RunnerActivity["data"]): string {
  const said = (name: string) => String(data[name] ?? "");
  switch (action) {
    case "STATUS":
      return [said("from"), said("to")].filter((status) => status !== "").join(" → ");
    case "HELLO":
    case "GOODBYE":
      return said("instanceId");
    case "CONNECTIVITY":
      return `${said("host")}:${said("port")} ${said("result")}`;
    case "UPDATE":
      return said("fields");
    case "ALLOWLIST":
      return said("how");
    default:
      return "";
  }
}

interface Deployment {
  readonly files: readonly { readonly path: string; readonly content: string }[];
  readonly commands: readonly string[];
  readonly notes: readonly string[];
}

/** `maia runners deployment RUNNER`: the files to write and the commands to give. */
export async function deployment(context: Context, ref: string, flags: CommonFlags): Promise<ExitCode> {
  const api: ApiClient = await connect(context, flags);
  const found = await api.get<Deployment>(`${pathOf(ref)}/deployment`);
  if (flags.json) {
    printJson(context, found);
    return exitCodes.ok;
  }
  const { terminal } = context;
  for (const { path, content } of found.files) terminal.print(`# ${path}\n${content}`);
  for (const command of found.commands) terminal.print(command);
  for (const note of found.notes) terminal.note(terminal.paint("dim", note));
  return exitCodes.ok;
}
