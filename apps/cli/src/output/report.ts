import type { ApiClient } from "../api-client.js";
import type { Artifact, JobRun, Run } from "../api-types.js";
import type { Outcome } from "../follow/follow.js";
import { userArtifacts } from "../follow/run-view.js";
import { between, bytes, cut, plain } from "./format.js";
import { lookOf } from "./status.js";
import { printTable } from "./table.js";
import type { Terminal } from "./terminal.js";

const OUTPUT_COLUMNS = 60;

/** Prints how a job ended: result and duration, why it failed, outputs, artifacts, and what one would do next. */
export async function printReport(terminal: Terminal, api: ApiClient, { job, run }: Outcome): Promise<void> {
  terminal.print(resultLine(terminal, run ?? job, run?.id ?? job.id));
  const failure = run?.failure ?? job.failure;
  if (failure) {
    const step = failure.stepKey ? `step ${failure.stepKey}: ` : "";
    terminal.print(`  ${step}${failure.code}: ${plain(failure.message)}`);
  }
  if (!run) return;
  printOutputs(terminal, run);
  const artifacts = userArtifacts(await listArtifacts(api, run.id));
  if (artifacts.length > 0) {
    terminal.print(terminal.paint("bold", "Artifacts"));
    printArtifacts(terminal, artifacts);
  }
  terminal.note(terminal.paint("dim", `Next: ${nextCommand(run, artifacts)}`));
}

/** Every artifact of a run, the system's own included. */
export function listArtifacts(api: ApiClient, runId: string): Promise<Artifact[]> {
  return api.list<Artifact>(`v1/runs/${encodeURIComponent(runId)}/artifacts`, {}, Number.POSITIVE_INFINITY);
}

export function printArtifacts(terminal: Terminal, artifacts: readonly Artifact[]): void {
  const rows = artifacts.map(({ name, sizeBytes, mime, stepKey, id }) => [
    `  ${plain(name)}`,
    bytes(sizeBytes),
    mime,
    stepKey,
    { text: id, style: "dim" as const },
  ]);
  printTable({ ...terminal, isTty: false }, ["NAME", "SIZE", "TYPE", "STEP", "ID"], rows);
}

/** Prints what the run's `outputsSpec` gave, each in one line. */
export function printOutputs(terminal: Terminal, { outputs }: Run): void {
  const entries = Object.entries(outputs ?? {});
  if (entries.length === 0) return;
  terminal.print(terminal.paint("bold", "Outputs"));
  printTable(
    { ...terminal, isTty: false },
    ["NAME", "VALUE"],
    entries.map(([name, value]) => [`  ${plain(name)}`, oneLine(value)]),
  );
}

function oneLine(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  const [first = "", ...more] = text.split("\n");
  const shown = cut(plain(first), OUTPUT_COLUMNS);
  return more.length > 0 ? `${shown} … (${bytes(Buffer.byteLength(text))})` : shown;
}

function resultLine(
  { paint }: Terminal,
  { status, workflow, version, createdAt, finishedAt }: Run | JobRun,
  id: string,
): string {
  const { icon, style } = lookOf(status);
  const took = between(createdAt, finishedAt);
  return `${paint(style, `${icon} ${status}`)}${took ? ` in ${took}` : ""}  ${paint("dim", `${workflow} v${version}  ${id}`)}`;
}

function nextCommand({ id, failure }: Run, artifacts: readonly Artifact[]): string {
  if (failure?.stepKey) return `maia runs logs ${id} --step ${failure.stepKey}`;
  return artifacts.length > 0 ? `maia artifacts get ${id}` : `maia runs show ${id}`;
}
