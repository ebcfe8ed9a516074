import { randomUUID } from "node:crypto";
import type { ApiClient, LocalFile } from "../api-client.js";
import type { JobRun } from "../api-types.js";
import { type CommonFlags, type Context, connect, printJson } from "../context.js";
import { usage } from "../errors.js";
import { type ExitCode, exitCodeOfRun, exitCodes } from "../exit-codes.js";
import { followJob, type Outcome } from "../follow/follow.js";
import { listArtifacts, printReport } from "../output/report.js";
import type { Terminal } from "../output/terminal.js";
import {
  needsSchema,
  type Params,
  type ParamsSchema,
  readParams,
  readParamsFile,
  splitPair,
} from "../workflow/params.js";
import { findFile, readFileFlag, uploadFiles } from "../workflow/upload.js";
import { isWorkflowPath, makeVersionAside } from "../workflow/version-aside.js";

/** What becomes of the command once a job is made. */
export interface StayFlags extends CommonFlags {
  readonly follow?: boolean;
  readonly wait?: boolean;
  readonly timeout?: string;
}

export interface ParamFlags {
  readonly param?: readonly string[];
  readonly params?: string;
}

export interface RunFlags extends StayFlags, ParamFlags {
  readonly file?: readonly string[];
  readonly urlFile?: readonly string[];
  readonly label?: readonly string[];
  readonly version?: string;
  readonly project?: string;
  readonly environment?: string;
  readonly runner?: string;
  readonly priority?: string;
  readonly idempotencyKey?: string;
}

/**
 * `maia run WORKFLOW`: asks for a run, and stays until it ends where that is wanted. The path of a definition in place of
 * a name runs that once, without publishing it.
 */
export async function run(context: Context, workflow: string, flags: RunFlags): Promise<ExitCode> {
  timeoutOf(flags);
  const isPath = isWorkflowPath(workflow);
  if (isPath && flags.version !== undefined) throw usage("--version is for a workflow by its name; a file is its own");
  const api = await connect(context, flags);
  const build = isPath ? buildAside : buildRequest;
  const files = await filesThatStay(api, flags);
  const request = await build(api, workflow, files.length > 0 ? { ...flags, file: [] } : flags, context.terminal);
  return makeJob(context, api, "v1/jobs", request, flags, files);
}

/** The files that must not be kept by Maia, since the environment's data stays at its runner: they go with the request. */
async function filesThatStay(api: ApiClient, { file = [], project, environment }: RunFlags): Promise<LocalFile[]> {
  if (file.length === 0) return [];
  const path = `v1/projects/${encodeURIComponent(project ?? "default")}/environments/${encodeURIComponent(environment ?? "default")}`;
  const { dataResidency } = await api.get<{ readonly dataResidency?: string }>(path);
  return dataResidency === "runner" ? Promise.all(file.map((flag) => findFile(flag))) : [];
}

/** Asks for a job, and stays until it ends where that is wanted. */
export async function makeJob(
  context: Context,
  api: ApiClient,
  path: string,
  request: object,
  flags: StayFlags & { readonly idempotencyKey?: string },
  files: readonly LocalFile[] = [],
): Promise<ExitCode> {
  const { terminal } = context;
  const timeoutMs = timeoutOf(flags);
  const headers = { "idempotency-key": flags.idempotencyKey ?? randomUUID() };
  const { body: job, replayed } =
    files.length > 0
      ? await api.postWithFiles<JobRun>(path, request, files, headers)
      : await api.post<JobRun>(path, request, headers);
  if (replayed) terminal.note("This request had been made before; this is the job that it created");

  if (!flags.follow && !flags.wait) {
    if (flags.json) printJson(context, job);
    else terminal.print(job.id);
    terminal.note(terminal.paint("dim", `Next: maia runs watch ${job.id}`));
    return exitCodes.ok;
  }
  const outcome = await followJob(context, api, job.id, timeoutMs === undefined ? flags : { ...flags, timeoutMs });
  return finish(context, api, outcome, flags);
}

/** Prints how it ended, and turns that into an exit code. */
export async function finish(
  context: Context,
  api: ApiClient,
  outcome: Outcome,
  { json }: CommonFlags,
): Promise<ExitCode> {
  const { job, run } = outcome;
  if (json) printJson(context, run ? { ...run, artifacts: await listArtifacts(api, run.id) } : job);
  else await printReport(context.terminal, api, outcome);
  return exitCodeOfRun(job.status);
}

/** Read before anything is sent. */
function timeoutOf({ timeout }: StayFlags): number | undefined {
  return timeout === undefined ? undefined : readDuration(timeout);
}

/** The params that flags give, those of `--params` first. */
export async function paramsOf(
  api: ApiClient,
  workflow: string,
  flags: ParamFlags & { readonly version?: string; readonly project?: string },
): Promise<Params> {
  const fromFile = flags.params === undefined ? {} : await readParamsFile(flags.params);
  return { ...fromFile, ...(await pairedParams(api, workflow, flags)) };
}

async function buildAside(api: ApiClient, path: string, flags: RunFlags, terminal: Terminal) {
  const { workflow, version } = await makeVersionAside(api, path, flags.project);
  return buildRequest(api, workflow, { ...flags, version: String(version) }, terminal);
}

/** The job that flags ask for. */
export async function buildRequest(api: ApiClient, workflow: string, flags: RunFlags, terminal: Terminal) {
  const { project, environment, runner } = flags;
  const params = await paramsOf(api, workflow, flags);
  const labels = Object.fromEntries((flags.label ?? []).map((pair) => splitPair(pair, "--label")));
  const files = await uploadFiles(api, flags.file ?? [], project, terminal);
  const urlFiles = (flags.urlFile ?? []).map(readUrlFile);
  const whole = { version: flags.version, priority: flags.priority };
  const numbers = Object.entries(whole).flatMap(([name, text]) =>
    text === undefined ? [] : [[name, readWhole(text, `--${name}`)]],
  );
  const texts = Object.entries({ project, environment, runner }).filter(([, text]) => text !== undefined);
  return {
    workflow,
    ...Object.fromEntries([...numbers, ...texts]),
    ...(Object.keys(params).length > 0 ? { params } : {}),
    ...(files.length > 0 ? { files } : {}),
    ...(urlFiles.length > 0 ? { urlFiles } : {}),
    ...(Object.keys(labels).length > 0 ? { labels } : {}),
  };
}

/** Asks for the workflow's schema only where a value could be read in two ways. */
async function pairedParams(
  api: ApiClient,
  workflow: string,
  { param = [], version, project }: Pick<RunFlags, "param" | "version" | "project">,
): Promise<Params> {
  return readParams(param, needsSchema(param) ? await paramsSchemaOf(api, workflow, version, project) : null);
}

async function paramsSchemaOf(
  api: ApiClient,
  workflow: string,
  version: string | undefined,
  project: string | undefined,
): Promise<ParamsSchema> {
  const path = `v1/workflows/${encodeURIComponent(workflow)}`;
  const no = version ?? (await api.get<{ latestVersion: number | null }>(path, { project })).latestVersion;
  if (no === null) return null; // nothing is published; creating the job will say so
  const { workflowSnap } = await api.get<{ workflowSnap: { inputSpec?: { paramsSchema?: ParamsSchema } | null } }>(
    `${path}/versions/${no}`,
    { project },
  );
  return workflowSnap.inputSpec?.paramsSchema ?? null;
}

/** `URL` or `NAME=URL`; a URL holds `://` before any `=`. */
function readUrlFile(text: string): { url: string; name?: string } {
  if (/^[a-z][a-z0-9+.-]*:/i.test(text)) return { url: text };
  const { name, path } = readFileFlag(text);
  return { url: path, name };
}

/** A whole number. @throws {CliError} */
export function readWhole(text: string, flag: string): number {
  if (!/^-?\d{1,9}$/.test(text)) throw usage(`${flag} ${text}: it must be a whole number`);
  return Number(text);
}

/** `90`, `90s`, `10m` or `2h`, in milliseconds. @throws {CliError} */
export function readDuration(text: string, flag = "--timeout"): number {
  const [, count, unit = "s"] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text) ?? [];
  if (count === undefined) throw usage(`${flag} ${text}: it must be a length of time such as 90s, 10m or 2h`);
  return Number(count) * { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }[unit as "ms" | "s" | "m" | "h"];
}
