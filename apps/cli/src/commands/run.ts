import { randomUUID } from "node:crypto";
import type { ApiClient } from "../api-client.js";
import type { JobRun } from "../api-types.js";
import { type CommonFlags, type Context, connect, printJson } from "../context.js";
import { usage } from "../errors.js";
import { type ExitCode, exitCodeOfRun, exitCodes } from "../exit-codes.js";
import { followJob, type Outcome } from "../follow/follow.js";
import { listArtifacts, printReport } from "../output/report.js";
import {
  needsSchema,
  type Params,
  type ParamsSchema,
  readParams,
  readParamsFile,
  splitPair,
} from "../workflow/params.js";
import { readFileFlag, uploadFiles } from "../workflow/upload.js";

export interface RunFlags extends CommonFlags {
  readonly param?: readonly string[];
  readonly params?: string;
  readonly file?: readonly string[];
  readonly urlFile?: readonly string[];
  readonly label?: readonly string[];
  readonly version?: string;
  readonly project?: string;
  readonly environment?: string;
  readonly runner?: string;
  readonly priority?: string;
  readonly idempotencyKey?: string;
  readonly follow?: boolean;
  readonly wait?: boolean;
  readonly timeout?: string;
}

/** `maia run WORKFLOW`: asks for a run, and stays until it ends where that is wanted. */
export async function run(context: Context, workflow: string, flags: RunFlags): Promise<ExitCode> {
  const timeoutMs = flags.timeout === undefined ? undefined : readDuration(flags.timeout);
  const api = await connect(context, flags);
  const { terminal } = context;
  const request = await buildRequest(api, workflow, flags, (text) => terminal.note(text));
  const headers = { "idempotency-key": flags.idempotencyKey ?? randomUUID() };
  const { body: job, replayed } = await api.post<JobRun>("v1/jobs", request, headers);
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

/** The job that flags ask for. */
export async function buildRequest(api: ApiClient, workflow: string, flags: RunFlags, told: (text: string) => void) {
  const { project, environment, runner } = flags;
  const fromFile = flags.params === undefined ? {} : await readParamsFile(flags.params);
  const params: Params = { ...fromFile, ...(await pairedParams(api, workflow, flags)) };
  const labels = Object.fromEntries((flags.label ?? []).map((pair) => splitPair(pair, "--label")));
  const files = await uploadFiles(api, flags.file ?? [], project, told);
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
  { param = [], version, project }: RunFlags,
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
