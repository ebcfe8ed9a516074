import { setTimeout as delay } from "node:timers/promises";
import type { ApiClient } from "../api-client.js";
import type { JobRun, LogItem, Page, Run } from "../api-types.js";
import { type CommonFlags, type Context, connect, printJson } from "../context.js";
import { usage } from "../errors.js";
import { type ExitCode, exitCodes } from "../exit-codes.js";
import { followJob } from "../follow/follow.js";
import { userArtifacts } from "../follow/run-view.js";
import { printFailure } from "../output/cause.js";
import { ago, between, plain } from "../output/format.js";
import { listArtifacts, printArtifacts, printOutputs } from "../output/report.js";
import { isEnded, lookOf } from "../output/status.js";
import { printTable } from "../output/table.js";
import { finish, readDuration } from "./run.js";

export interface ListFlags extends CommonFlags {
  readonly workflow?: string;
  readonly status?: string;
  readonly query?: string;
  readonly sort?: string;
  readonly order?: string;
  readonly since?: string;
  readonly until?: string;
  readonly project?: string;
  readonly limit: string;
}

/** `maia runs list`: the newest runs. */
export async function listRuns(context: Context, flags: ListFlags): Promise<ExitCode> {
  const api = await connect(context, flags);
  const { workflow, status, project, query: q, order } = flags;
  const now = context.clock();
  const createdAfter = momentOf(flags.since, "--since", now);
  const createdBefore = momentOf(flags.until, "--until", now);
  const query = { workflow, status: status?.toUpperCase(), project, q, order, createdAfter, createdBefore };
  const runs = await api.list<Run>("v1/runs", query, readLimit(flags.limit));
  if (flags.json) {
    printJson(context, runs);
    return exitCodes.ok;
  }
  const rows = runs.map((run) => {
    const { icon, style } = lookOf(run.status);
    return [
      run.id,
      { text: `${icon} ${run.status}`, style },
      `${run.workflow} v${run.version}`,
      ago(run.createdAt, now),
      between(run.createdAt, run.finishedAt),
    ];
  });
  printTable(context.terminal, ["RUN", "STATUS", "WORKFLOW", "CREATED", "TOOK"], rows);
  if (runs.length === 0) context.terminal.note("There are no runs yet. Start one: maia run WORKFLOW");
  return exitCodes.ok;
}

/** `2h`, which is so long ago, or a moment as it is. @throws {CliError} */
function momentOf(text: string | undefined, flag: string, now: Date): string | undefined {
  if (text === undefined || /^\d{4}-/.test(text)) return text;
  return new Date(now.getTime() - readDuration(text, flag)).toISOString();
}

/** `maia runs show ID`: a run with its steps, outputs and artifacts. Takes the id of a job too. */
export async function showRun(context: Context, id: string, flags: CommonFlags): Promise<ExitCode> {
  const api = await connect(context, flags);
  const { terminal } = context;
  const found = await findRun(api, id);
  if (!found.run) {
    if (flags.json) printJson(context, found.job);
    else terminal.print(`${found.job.id}  ${found.job.status}  ${found.job.workflow} v${found.job.version}`);
    return exitCodes.ok;
  }
  const { run } = found;
  const artifacts = await listArtifacts(api, run.id);
  if (flags.json) {
    printJson(context, { ...run, artifacts });
    return exitCodes.ok;
  }
  const { icon, style } = lookOf(run.status);
  terminal.print(
    `${terminal.paint(style, `${icon} ${run.status}`)}  ${run.workflow} v${run.version}  ${run.id}  ${between(run.createdAt, run.finishedAt)}`,
  );
  if (run.originRunId) terminal.print(terminal.paint("dim", `  re-run of ${run.originRunId}`));
  if (run.failure) printFailure(terminal, run.failure, run.steps);
  printTable(terminal, ["STEP", "STATUS", "TOOK", "ATTEMPTS", ""], run.steps.map(stepRow));
  printOutputs(terminal, run);
  const own = userArtifacts(artifacts);
  if (own.length > 0) terminal.print(terminal.paint("bold", "Artifacts"));
  printArtifacts(terminal, own);
  return exitCodes.ok;
}

function stepRow({ key, status, startedAt, finishedAt, attempts, reusedFrom }: Run["steps"][number]) {
  const { icon, style } = lookOf(status);
  const failure = status === "FAILED" ? attempts.at(-1)?.failure : null;
  const said = failure
    ? `${failure.code}: ${plain(failure.message)}`
    : reusedFrom
      ? `reused from ${reusedFrom.runId}`
      : "";
  return [key, { text: `${icon} ${status}`, style }, between(startedAt, finishedAt), String(attempts.length), said];
}

/** `maia runs watch ID`: follows a run that goes on already. */
export async function watchRun(context: Context, id: string, flags: CommonFlags): Promise<ExitCode> {
  const api = await connect(context, flags);
  const jobId = id.startsWith("run_") ? (await api.get<Run>(`v1/runs/${encodeURIComponent(id)}`)).jobId : id;
  return finish(context, api, await followJob(context, api, jobId, { ...flags, follow: true }), flags);
}

export interface LogsFlags extends CommonFlags {
  readonly follow?: boolean;
  readonly step?: string;
  readonly attempt?: string;
  readonly stream?: string;
  readonly query?: string;
}

const LOG_POLL_MS = 300;

/** `maia runs logs ID`: the lines that steps wrote. With `--step` they stand alone, else each has its step before it. */
export async function showLogs(context: Context, id: string, flags: LogsFlags): Promise<ExitCode> {
  const api = await connect(context, flags);
  const { run } = await findRun(api, id);
  if (!run) return exitCodes.ok; // still queued: nothing was written
  const { step: stepKey, attempt: attemptNo, stream, query: q } = flags;
  checkStep(run, stepKey, attemptNo);
  const path = `v1/runs/${run.id}/logs`;
  for (let cursor: string | undefined; ; ) {
    const page: Page<LogItem> = await api.get(path, {
      stepKey,
      attemptNo,
      stream,
      q,
      limit: 1_000,
      order: "asc",
      cursor,
    });
    for (const item of page.items)
      context.terminal.print(flags.json ? JSON.stringify(item) : logLine(context, item, stepKey !== undefined));
    if (page.nextCursor === null) return exitCodes.ok;
    // A page may be empty and yet not the last: what was asked for may be further on.
    if (page.items.length === 0 && page.nextCursor === cursor) {
      if (!flags.follow) return exitCodes.ok;
      await delay(LOG_POLL_MS);
    }
    cursor = page.nextCursor;
  }
}

/** A misspelt step would look like one that wrote nothing. @throws {CliError} */
function checkStep({ id, steps }: Run, stepKey: string | undefined, attemptNo: string | undefined): void {
  if (stepKey === undefined) return;
  const step = steps.find(({ key }) => key === stepKey);
  const keys = steps.map(({ key }) => key);
  const known = keys.length > 20 ? [...keys.slice(0, 20), "…"] : keys;
  if (!step) throw usage(`${id} has no step ${stepKey}; it has ${known.join(", ")}`);
  if (attemptNo !== undefined && !step.attempts.some(({ no }) => String(no) === attemptNo))
    throw usage(`Step ${stepKey} of ${id} has no attempt ${attemptNo}; it has ${step.attempts.length}`);
}

function logLine({ terminal }: Context, { stepKey, line }: LogItem, isAlone: boolean): string {
  const text = terminal.isTty ? plain(line) : line;
  return isAlone ? text : `${terminal.paint("cyan", `[${stepKey}]`)} ${text}`;
}

/** `maia runs cancel ID`: of a run or of a job. */
export async function cancelRun(
  context: Context,
  id: string,
  flags: CommonFlags & { readonly reason?: string },
): Promise<ExitCode> {
  const api = await connect(context, flags);
  const path = id.startsWith("run_") ? "v1/runs" : "v1/jobs";
  const { body } = await api.post<Run | JobRun>(`${path}/${encodeURIComponent(id)}/cancel`, { reason: flags.reason });
  if (flags.json) printJson(context, body);
  else context.terminal.print(`${body.id} ${isEnded(body.status) ? "is canceled" : "is being canceled"}`);
  return exitCodes.ok;
}

/** `maia runs delete ID…`: of runs or of jobs, one after another. */
export async function deleteRuns(context: Context, ids: readonly string[], flags: CommonFlags): Promise<ExitCode> {
  const api = await connect(context, flags);
  for (const id of ids) {
    await api.delete(`${id.startsWith("run_") ? "v1/runs" : "v1/jobs"}/${encodeURIComponent(id)}`);
    if (!flags.json) context.terminal.print(`${id} is deleted`);
  }
  if (flags.json) printJson(context, { deleted: ids });
  return exitCodes.ok;
}

/** The run that an id means: its own, or its job's. */
export async function findRun(api: ApiClient, id: string): Promise<{ job: JobRun; run: null } | { run: Run }> {
  if (id.startsWith("run_")) return { run: await api.get<Run>(`v1/runs/${encodeURIComponent(id)}`) };
  const job = await api.get<JobRun>(`v1/jobs/${encodeURIComponent(id)}`);
  return job.runId === null ? { job, run: null } : { run: await api.get<Run>(`v1/runs/${job.runId}`) };
}

/** `--limit`: how many at most. @throws {CliError} */
export function readLimit(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw usage(`--limit ${text}: it must be a whole number from 1`);
  return Number(text);
}
