import { type CommonFlags, type Context, connect, printJson } from "../context.js";
import { type ExitCode, exitCodes } from "../exit-codes.js";
import { ago, plain } from "../output/format.js";
import { lookOf } from "../output/status.js";
import { printTable } from "../output/table.js";
import { findWorkflowFiles, inFile, readWorkflow } from "../workflow/read-workflow.js";
import { type ListFlags, readLimit } from "./runs.js";

export interface ApplyFlags extends CommonFlags {
  readonly file: readonly string[];
  readonly project?: string;
  readonly draft?: boolean;
  readonly message?: string;
}

interface Applied {
  readonly workflow: string;
  readonly version: number | null;
  readonly snapHash: string | null;
  readonly published: boolean;
  /** It had been deleted. */
  readonly restored?: boolean;
}

/** `maia apply -f PATH`: creates or replaces workflows, and publishes what changed. */
export async function apply(context: Context, flags: ApplyFlags): Promise<ExitCode> {
  const paths = (await Promise.all(flags.file.map(findWorkflowFiles))).flat();
  const files = await Promise.all(paths.map(readWorkflow)); // all are read before one is sent
  const api = await connect(context, flags);
  const query = { project: flags.project, message: flags.message, ...(flags.draft ? { publish: "false" } : {}) };
  const results: Applied[] = [];
  for (const file of files) {
    const path = `v1/workflows/${encodeURIComponent(file.slug)}`;
    const applied = await api
      .put<Applied>(path, file.definition, query)
      .catch((error) => Promise.reject(inFile(error, file)));
    if (!flags.json) context.terminal.print(`${file.slug} ${described(applied, flags)}`);
    results.push(applied);
  }
  if (flags.json) printJson(context, results);
  return exitCodes.ok;
}

function described({ version, published, restored }: Applied, { draft }: ApplyFlags): string {
  const stored = draft ? "saved as a draft" : `v${version} ${published ? "published" : "unchanged"}`;
  return restored ? `${stored}, restored: it had been deleted, and is back with its versions` : stored;
}

interface Workflow {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly latestVersion: number | null;
  readonly updatedAt: string;
  readonly lastRun?: { readonly status: string; readonly createdAt: string } | null;
  readonly queued?: number;
  readonly running?: number;
  readonly recent?: { readonly successRate: number | null };
}

/** `maia workflows list`. */
export async function listWorkflows(context: Context, flags: ListFlags): Promise<ExitCode> {
  const api = await connect(context, flags);
  const { project, query: q, sort, order } = flags;
  const workflows = await api.list<Workflow>("v1/workflows", { project, q, sort, order }, readLimit(flags.limit));
  if (flags.json) {
    printJson(context, workflows);
    return exitCodes.ok;
  }
  const now = context.clock();
  const rows = workflows.map((workflow) => {
    const { name, updatedAt, lastRun, queued = 0, running = 0, recent, description } = workflow;
    const look = lastRun ? lookOf(lastRun.status) : null;
    const last = look && lastRun ? { text: `${look.icon} ${ago(lastRun.createdAt, now)}`, style: look.style } : "";
    const rate = recent?.successRate ?? null;
    const under = queued + running === 0 ? "" : `${running} running, ${queued} waiting`;
    const share = rate === null ? "" : `${Math.round(100 * rate)} %`;
    return [name, versionOf(workflow), ago(updatedAt, now), last, share, under, plain(description)];
  });
  const columns = ["WORKFLOW", "VERSION", "CHANGED", "LAST RUN", "SUCCESS", "NOW", "DESCRIPTION"];
  printTable(context.terminal, columns, rows);
  if (workflows.length === 0) context.terminal.note("There are no workflows yet. Add one: maia apply -f workflow.yaml");
  return exitCodes.ok;
}

function versionOf({ latestVersion }: Workflow): string {
  return latestVersion === null ? "draft" : `v${latestVersion}`;
}

interface Definition {
  readonly description?: string;
  readonly steps?: readonly { readonly key: string; readonly runtime?: string; readonly deps?: readonly string[] }[];
}

/** `maia workflows show SLUG`: the definition, and its steps in short. */
export async function showWorkflow(
  context: Context,
  slug: string,
  flags: CommonFlags & { readonly project?: string },
): Promise<ExitCode> {
  const api = await connect(context, flags);
  const { terminal } = context;
  const workflow = await api.get<Workflow & { readonly definition?: Definition }>(
    `v1/workflows/${encodeURIComponent(slug)}`,
    { project: flags.project },
  );
  if (flags.json) {
    printJson(context, workflow);
    return exitCodes.ok;
  }
  terminal.print(`${terminal.paint("bold", workflow.name)} ${versionOf(workflow)}  ${workflow.id}`);
  if (workflow.description) terminal.print(plain(workflow.description));
  const steps = workflow.definition?.steps ?? [];
  printTable(
    terminal,
    ["STEP", "RUNTIME", "NEEDS"],
    steps.map(({ key, runtime, deps }) => [key, runtime ?? "node", (deps ?? []).join(", ")]),
  );
  return exitCodes.ok;
}
