import { randomUUID } from "node:crypto";
import type { ApiClient } from "../api-client.js";
import type { Runner, RunnerActivity } from "../api-types.js";
import { confirmed } from "../confirm.js";
import { type CommonFlags, type Context, connect, printJson } from "../context.js";
import { usage } from "../errors.js";
import { type ExitCode, exitCodes } from "../exit-codes.js";
import { ago, plain } from "../output/format.js";
import { lookOf } from "../output/status.js";
import { type Cell, printTable } from "../output/table.js";
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

/** What each status means, for those who see it. */
const meanings: Readonly<Record<string, string>> = {
  PENDING: "it has never connected",
  RUNNING: "it is connected and takes tasks",
  UNKNOWN: "it is not heard of any more",
  STOPPING: "it finishes its tasks and takes no new ones",
  STOPPED: "it was stopped",
  PAUSING: "it finishes its tasks before it is paused",
  PAUSED: "new tasks are queued",
};

function statusCell({ status, connected }: Runner): Cell {
  const { icon, style } = lookOf(status === "RUNNING" ? "CONNECTED" : status);
  return { text: `${icon} ${status}${status === "PAUSED" && !connected ? " (offline)" : ""}`, style };
}

/** `Running: it is connected …`, with when a pause ends by itself. */
function statusLine({ status, connected, pausedUntil, instances }: Runner): string {
  const meaning = meanings[status] ?? "";
  const end = pausedUntil === null ? "" : `, until ${pausedUntil} at the latest`;
  const offline = status === "PAUSED" && !connected ? "; no instance is connected" : "";
  return `${status}: ${meaning}${end}${offline} (${instances} ${instances === 1 ? "instance" : "instances"})`;
}

function whereOf({ platform, deployment }: Runner): string {
  return deployment === null ? platform : `${platform}/${deployment}`;
}

function versionOf({ version }: Runner): string {
  const { reported, latest, updateAvailable } = version;
  return updateAvailable ? `${reported} (update available: ${latest})` : (reported ?? "");
}

/** `maia runners show RUNNER`. */
export async function showRunner(context: Context, ref: string, flags: CommonFlags): Promise<ExitCode> {
  const api = await connect(context, flags);
  const runner = await api.get<Runner>(pathOf(ref));
  if (flags.json) printJson(context, runner);
  else printRunner(context, runner);
  return exitCodes.ok;
}

export function printRunner({ terminal }: Context, runner: Runner): void {
  const { version, track, autoUpdate, restricted } = runner;
  const line = (name: string, text: string) => terminal.print(`  ${name.padEnd(10)} ${plain(text)}`);
  terminal.print(`${terminal.paint("bold", plain(runner.name))}  ${runner.id}`);
  if (runner.description) line("about", runner.description);
  line("status", statusLine(runner));
  line("platform", `${whereOf(runner)}, type ${runner.type}`);
  line("work", `${runner.inFlight} in flight, ${runner.queued} queued`);
  line("track", `${track}${autoUpdate ? ", updates itself" : ""}`);
  const support = version.support === null ? "" : `, ${version.support}`;
  line("version", version.reported === null ? "not reported yet" : `${versionOf(runner)}${support}`);
  line("allowed", restricted ? "only what its allow list names" : "every project");
}

/** What instances are started with. */
export interface ConfigFlags {
  readonly image?: string;
  readonly env?: readonly string[];
  readonly cpu?: string;
  readonly memory?: string;
  readonly minInstances?: string;
  readonly maxInstances?: string;
}

export interface CreateFlags extends CommonFlags, ConfigFlags {
  readonly platform: string;
  readonly deployment?: string;
  readonly type?: string;
  readonly track?: string;
  readonly description?: string;
  readonly autoUpdate?: boolean;
  readonly restricted?: boolean;
  readonly idempotencyKey?: string;
}

/** `maia runners create NAME`: prints the credentials, this once without a further look. */
export async function createRunner(context: Context, name: string, flags: CreateFlags): Promise<ExitCode> {
  const api = await connect(context, flags);
  const { platform, deployment, type, track, description, autoUpdate, restricted } = flags;
  const given = Object.entries({ deployment, type, track, description, autoUpdate, restricted });
  const config = configOf(flags);
  const body = {
    name,
    platform,
    ...Object.fromEntries(given.filter(([, value]) => value !== undefined)),
    ...(Object.keys(config).length > 0 ? { config } : {}),
  };
  const headers = { "idempotency-key": flags.idempotencyKey ?? randomUUID() };
  const { body: runner, replayed } = await api.post<Runner>("v1/runners", body, headers);
  const { terminal } = context;
  if (flags.json) printJson(context, runner);
  else {
    printRunner(context, runner);
    if (runner.credentials) printCredentials(context, runner.credentials);
  }
  if (replayed) terminal.note("This request had been made before; this is the runner that it made");
  terminal.note(terminal.paint("dim", `Next: maia runners deployment ${quoted(name)}`));
  return exitCodes.ok;
}

export function configOf({ image, env = [], cpu, memory, minInstances, maxInstances }: ConfigFlags): object {
  const variables = env.map((pair) => {
    const at = pair.indexOf("=");
    if (at < 1) throw usage(`--env ${pair} is no NAME=VALUE`);
    return [pair.slice(0, at), pair.slice(at + 1)] as const;
  });
  return {
    ...(image === undefined ? {} : { image }),
    ...(variables.length === 0 ? {} : { env: Object.fromEntries(variables) }),
    ...(cpu === undefined ? {} : { cpu }),
    ...(memory === undefined ? {} : { memory }),
    ...(minInstances === undefined ? {} : { minInstances: readWhole(minInstances, "--min-instances") }),
    ...(maxInstances === undefined ? {} : { maxInstances: readWhole(maxInstances, "--max-instances") }),
  };
}

/** A name as a shell takes it. */
function quoted(name: string): string {
  return /^[\w.-]+$/.test(name) ? name : `'${name.replaceAll("'", `'\\''`)}'`;
}

interface Credentials {
  readonly clientId: string;
  readonly clientSecret: string;
}

function printCredentials({ terminal }: Context, { clientId, clientSecret }: Credentials): void {
  terminal.print(`MAIA_CLIENT_ID=${clientId}`);
  terminal.print(`MAIA_CLIENT_SECRET=${clientSecret}`);
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
