import { randomUUID } from "node:crypto";
import type { JobRun, Schedule, Tick, Upcoming } from "../api-types.js";
import { type CommonFlags, type Context, connect, printJson } from "../context.js";
import { usage } from "../errors.js";
import { type ExitCode, exitCodes } from "../exit-codes.js";
import { duration, plain } from "../output/format.js";
import { printTable } from "../output/table.js";
import type { Style } from "../output/terminal.js";
import { buildRequest, type RunFlags, readDuration, readWhole } from "./run.js";
import { type ListFlags, readLimit } from "./runs.js";

const pathOf = (id: string) => `v1/schedules/${encodeURIComponent(id)}`;

/** `maia schedules list`: the newest first, each with its own clock. */
export async function listSchedules(context: Context, flags: ListFlags): Promise<ExitCode> {
  const api = await connect(context, flags);
  const { workflow, project } = flags;
  const schedules = await api.list<Schedule>("v1/schedules", { workflow, project }, readLimit(flags.limit));
  if (flags.json) {
    printJson(context, schedules);
    return exitCodes.ok;
  }
  const rows = schedules.map((schedule) => [
    schedule.id,
    plain(schedule.name ?? schedule.workflow),
    rule(schedule),
    schedule.nextRunAt ?? "disabled",
    schedule.lastTick?.outcome ?? "",
  ]);
  printTable(context.terminal, ["SCHEDULE", "NAME", "WHEN", "NEXT", "LAST"], rows);
  if (schedules.length === 0)
    context.terminal.note("There are no schedules yet. Make one: maia schedules create WORKFLOW --cron '0 2 * * *'");
  return exitCodes.ok;
}

/** `0 2 * * * Europe/Berlin` or `every 15m00s`. */
function rule({ cron, intervalMs, timezone }: Schedule): string {
  return cron === null ? `every ${duration(intervalMs ?? 0)}` : `${cron} ${timezone}`;
}

export interface CreateFlags extends Omit<RunFlags, "file" | "follow" | "wait" | "timeout"> {
  readonly cron?: string;
  readonly every?: string;
  readonly timezone?: string;
  readonly name?: string;
  readonly misfire?: string;
  readonly catchUpLimit?: string;
  readonly overlap?: string;
  readonly disabled?: boolean;
}

/** `maia schedules create WORKFLOW`: with `--cron` or `--every`. Cron means this machine's clock unless told otherwise. */
export async function create(context: Context, workflow: string, flags: CreateFlags): Promise<ExitCode> {
  const when = timing(flags);
  const api = await connect(context, flags);
  const { terminal } = context;
  const { name, misfire, overlap, catchUpLimit, disabled } = flags;
  const body = {
    ...(await buildRequest(api, workflow, flags, terminal)),
    ...when,
    ...defined({ name, misfire, overlap }),
    ...(catchUpLimit === undefined ? {} : { catchUpLimit: readWhole(catchUpLimit, "--catch-up-limit") }),
    ...(disabled ? { enabled: false } : {}),
  };
  const headers = { "idempotency-key": flags.idempotencyKey ?? randomUUID() };
  const { body: schedule, replayed } = await api.post<Schedule>("v1/schedules", body, headers);
  if (replayed) terminal.note("This request had been made before; this is the schedule that it created");
  if (flags.json) printJson(context, schedule);
  else terminal.print(schedule.id);
  terminal.note(`${rule(schedule)}; ${schedule.nextRunAt ? `next at ${schedule.nextRunAt}` : "disabled"}`);
  return exitCodes.ok;
}

function timing({ cron, every, timezone }: CreateFlags): object {
  if ((cron === undefined) === (every === undefined)) throw usage("A schedule needs either --cron or --every");
  const zone = { timezone: timezone ?? new Intl.DateTimeFormat().resolvedOptions().timeZone };
  if (cron !== undefined) return { kind: "cron", cron, ...zone };
  return { kind: "interval", intervalMs: readDuration(every!, "--every"), ...zone };
}

function defined(texts: Readonly<Record<string, string | undefined>>): object {
  return Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== undefined));
}

/** `maia schedules show ID`: what it does, and when next. */
export async function show(context: Context, id: string, flags: CommonFlags): Promise<ExitCode> {
  const api = await connect(context, flags);
  const schedule = await api.get<Schedule>(pathOf(id));
  if (flags.json) {
    printJson(context, schedule);
    return exitCodes.ok;
  }
  const { terminal } = context;
  const { version, misfire, catchUpLimit, overlap, enabled, params, lastTick } = schedule;
  terminal.print(`${terminal.paint("bold", plain(schedule.name ?? schedule.workflow))}  ${schedule.id}`);
  terminal.print(`  workflow  ${schedule.workflow} ${version === null ? "(the latest version)" : `v${version}`}`);
  terminal.print(`  when      ${rule(schedule)}${enabled ? "" : " (disabled)"}`);
  terminal.print(`  misfire   ${misfire}${misfire === "catch_up" ? `, at most ${catchUpLimit}` : ""}`);
  terminal.print(`  overlap   ${overlap}`);
  terminal.print(`  params    ${plain(JSON.stringify(params))}`);
  if (lastTick) terminal.print(`  last      ${lastTick.dueAt} ${lastTick.outcome} ${lastTick.jobId ?? ""}`.trimEnd());
  if (enabled) printUpcoming(context, await api.get<Upcoming>(`${pathOf(id)}/upcoming`, { count: 3 }));
  return exitCodes.ok;
}

/** `maia schedules enable ID` and `disable ID`. */
export async function setEnabled(
  context: Context,
  id: string,
  enabled: boolean,
  flags: CommonFlags,
): Promise<ExitCode> {
  const api = await connect(context, flags);
  const schedule = await api.patch<Schedule>(pathOf(id), { enabled });
  if (flags.json) printJson(context, schedule);
  else
    context.terminal.print(`${schedule.id} ${enabled ? `is enabled; next at ${schedule.nextRunAt}` : "is disabled"}`);
  return exitCodes.ok;
}

/** `maia schedules trigger ID`: its job now. */
export async function trigger(context: Context, id: string, flags: CommonFlags): Promise<ExitCode> {
  const api = await connect(context, flags);
  const { body: job } = await api.post<JobRun>(`${pathOf(id)}/trigger`, {}, { "idempotency-key": randomUUID() });
  if (flags.json) printJson(context, job);
  else context.terminal.print(job.id);
  context.terminal.note(context.terminal.paint("dim", `Next: maia runs watch ${job.id}`));
  return exitCodes.ok;
}

export interface UpcomingFlags extends CommonFlags {
  readonly count: string;
}

/** `maia schedules upcoming ID`: its next instants, in UTC and by its own clock. */
export async function upcoming(context: Context, id: string, flags: UpcomingFlags): Promise<ExitCode> {
  const api = await connect(context, flags);
  const found = await api.get<Upcoming>(`${pathOf(id)}/upcoming`, { count: readWhole(flags.count, "--count") });
  if (flags.json) printJson(context, found.items);
  else printUpcoming(context, found);
  if (found.items.length === 0) context.terminal.note("The schedule is disabled");
  return exitCodes.ok;
}

function printUpcoming({ terminal }: Context, { timezone, items }: Upcoming): void {
  const rows = items.map(({ dueAt, localTime }) => [dueAt, localTime]);
  if (rows.length > 0) printTable(terminal, ["NEXT", timezone.toUpperCase()], rows);
}

export interface TickFlags extends CommonFlags {
  readonly outcome?: string;
  readonly limit: string;
}

const styles: Readonly<Record<string, Style>> = { fired: "green", failed: "red", missed: "yellow", skipped: "dim" };

/** `maia schedules ticks ID`: what became of each instant. */
export async function ticks(context: Context, id: string, flags: TickFlags): Promise<ExitCode> {
  const api = await connect(context, flags);
  const found = await api.list<Tick>(`${pathOf(id)}/ticks`, { outcome: flags.outcome }, readLimit(flags.limit));
  if (flags.json) {
    printJson(context, found);
    return exitCodes.ok;
  }
  const rows = found.map(({ dueAt, lastDueAt, count, outcome, jobId, failure }) => [
    dueAt,
    { text: outcome, style: styles[outcome] ?? "dim" },
    failure
      ? `${failure.code}: ${plain(failure.message)}`
      : (jobId ?? (count > 1 ? `${count} until ${lastDueAt}` : "")),
  ]);
  printTable(context.terminal, ["DUE", "OUTCOME", ""], rows);
  return exitCodes.ok;
}

/** `maia schedules delete ID`. */
export async function remove(context: Context, id: string, flags: CommonFlags): Promise<ExitCode> {
  const api = await connect(context, flags);
  await api.delete(pathOf(id));
  if (flags.json) printJson(context, { id, deleted: true });
  else context.terminal.print(`${id} is deleted`);
  return exitCodes.ok;
}
