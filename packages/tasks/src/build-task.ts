import {
  type AttemptRef,
  type Db,
  findStepArtifact,
  findStoredAfar,
  type InitialFile,
  type OwnedRun,
  readSecret,
  type Sql,
  storeOfRun,
} from "@maia/db";
import { type StepLimits, sha256Hex, type WorkflowSnapshot } from "@maia/domain";
import type { Content, FindContent, Task, TaskDeps, TaskFile, TaskLimits } from "@maia/runner-protocol";
import { type SecretBox, SecretError } from "@maia/secrets";
import type { Constants } from "@maia/service";
import type { BlobStore } from "@maia/storage";
import type { LoadedVersion } from "./snapshots.js";

/** A task with the bytes that it names. */
export interface ReadyTask {
  readonly task: Task;
  readonly find: FindContent;
}

/** Where a task's parts lie. */
export interface TaskSources {
  readonly db: Db;
  readonly blobs: BlobStore;
  readonly secrets: SecretBox;
}

/** What every task of this engine has in common. */
export interface TaskRules {
  readonly graceMs: number;
  readonly reconnectWindowMs: number;
  /** How long an installation of packages may take. */
  readonly installMs: number;
  readonly limits: TaskLimits;
}

/** The rules that an installation's constants make. */
export function taskRules(constants: Constants): TaskRules {
  return {
    graceMs: constants.cancelGraceMs,
    reconnectWindowMs: constants.runnerReconnectWindowMs,
    installMs: constants.depsInstallMs,
    limits: {
      logLineMax: constants.logLineMax,
      logAttemptMax: constants.logAttemptMax,
      outputMax: constants.outputMax,
      artifactsMax: constants.artifactsMax,
      artifactMax: constants.artifactMax,
      memoryBytes: constants.stepMemoryMax || null,
      processes: null,
    },
  };
}

/** Why a task cannot be built: its facts name something that is not there. */
export class TaskError extends Error {
  override readonly name = "TaskError";
}

/**
 * Builds the task of an attempt from the run's facts.
 * @throws {TaskError} when a file, an artifact or a secret that the step needs is missing.
 */
export async function buildTask(
  sources: TaskSources,
  run: OwnedRun,
  version: LoadedVersion,
  attempt: { readonly ref: AttemptRef; readonly token: string; readonly input: string; readonly deps: TaskDeps | null },
  rules: TaskRules,
): Promise<ReadyTask> {
  const { ref, token } = attempt;
  const content = await taskContent(sources, run, version, ref, attempt.input);
  const { step } = content;
  const { env, reuse } = version.snapshot;
  const environment = await environmentOf(sources.db, run.jobId);
  const secrets = await secretsOf(sources, environment, [...version.snapshot.secrets, ...step.secrets]);
  const task: Task = {
    attemptId: ref.id,
    epoch: ref.epoch,
    token,
    kind: "step",
    runId: run.id,
    stepKey: ref.stepKey,
    attemptNo: ref.no,
    workflowId: run.workflowId,
    runtime: step.runtime,
    script: { sha256: content.script },
    input: { sha256: content.input },
    files: content.files,
    env: { ...env, ...environment.values },
    secrets: secrets.values,
    deps: attempt.deps,
    reuseKey: reuse ? reuseKeyOf(`${run.versionId}/${environment.id}${secrets.mark}`, step.limits ?? null) : null,
    transaction: step.transaction,
    timeoutMs: step.timeoutMs,
    graceMs: rules.graceMs,
    reconnectWindowMs: rules.reconnectWindowMs,
    limits: limitsOf(rules.limits, step.limits ?? null),
    isolation: null,
    ...(await keepOf(sources.db.sql, run)),
  };
  return { task, find: content.find };
}

/** The runner's store in which the attempt's artifacts stay, where they do not come to Maia. */
async function keepOf(sql: Sql, { id, dataResidency }: OwnedRun): Promise<Pick<Task, "keep">> {
  if (dataResidency === "maia") return {};
  const storeId = await storeOfRun(sql, id);
  if (storeId === null) throw new TaskError("the run's data stays at its runner, and no store of it is bound");
  return { keep: storeId };
}

/** What a task names by hash: its script, its input and its files. */
export interface TaskContent {
  readonly step: WorkflowSnapshot["steps"][number];
  readonly script: string;
  readonly input: string;
  readonly files: readonly TaskFile[];
  /** Finds what the task names; what it does not name may be in the blob store. */
  readonly find: FindContent;
}

/**
 * The content of an attempt's task. It takes no secrets, so it can be asked for as often as somebody fetches a part.
 * @throws {TaskError} when an artifact that the step needs is missing.
 */
export async function taskContent(
  { db, blobs }: Pick<TaskSources, "db" | "blobs">,
  run: Pick<OwnedRun, "id" | "dataResidency">,
  version: LoadedVersion,
  { stepKey }: Pick<AttemptRef, "stepKey">,
  inputText: string,
): Promise<TaskContent> {
  const step = version.snapshot.steps.find((candidate) => candidate.key === stepKey);
  const script = version.scripts.get(stepKey);
  if (!step || !script) throw new TaskError(`the snapshot has no step ${stepKey}`);
  const bytes = Buffer.from(inputText);
  const input = sha256Hex(bytes);
  const inMemory = new Map<string, Uint8Array>([
    [script.sha256, script.bytes],
    [input, bytes],
  ]);
  const files = [...(await inputFiles(db, run, inputText)), ...(await upstreamFiles(db, run.id, step.artifacts))];
  const find = (sha256: string): Content | null => {
    const known = inMemory.get(sha256);
    return known ? { bytes: known } : { path: blobs.path(sha256) };
  };
  return { step, script: script.sha256, input, files, find };
}

/** A process that has limits serves only steps with the same ones; CPU time is counted over its whole life. */
function reuseKeyOf(shared: string, own: StepLimits | null): string | null {
  if (own === null) return shared;
  return own.cpuMs === null ? `${shared}/${own.memoryBytes}/${own.processes}` : null;
}

/** The step's own limits, where they are not above those of every step. */
function limitsOf(all: TaskLimits, own: StepLimits | null): TaskLimits {
  if (own === null) return all;
  const lesser = (a: number | null, b: number | null) => (a === null ? b : b === null ? a : Math.min(a, b));
  return {
    ...all,
    memoryBytes: lesser(all.memoryBytes, own.memoryBytes),
    processes: lesser(all.processes, own.processes),
    ...(own.cpuMs === null ? {} : { cpuMs: own.cpuMs }),
  };
}

/** The run's input files, as `input.json` names them. */
async function inputFiles(
  db: Db,
  { dataResidency }: Pick<OwnedRun, "dataResidency">,
  input: string,
): Promise<TaskFile[]> {
  const files: readonly InitialFile[] = JSON.parse(input).initialInput.files;
  const ids = dataResidency === "maia" ? [] : files.map(({ id }) => id);
  const afar = await findStoredAfar(db.sql, ids);
  return files.flatMap(({ id, path, sha256, sizeBytes }) =>
    path && sha256 && sizeBytes !== null ? [{ path, sha256, sizeBytes, ...keptIf(afar.has(id)) }] : [],
  );
}

/** Says of a file that the runner has it in the store that the task names. */
function keptIf(isKept: boolean): Pick<TaskFile, "kept"> {
  return isKept ? { kept: true } : {};
}

/** Artifacts of earlier steps that this one names; they lie in the run directory under `artifacts/<step>/<name>`. */
async function upstreamFiles(
  db: Db,
  runId: string,
  wanted: readonly { readonly from: string; readonly name: string }[],
): Promise<TaskFile[]> {
  const files: TaskFile[] = [];
  for (const { from, name } of wanted) {
    const row = await findStepArtifact(db.sql, runId, from, name);
    if (!row) throw new TaskError(`step ${from} left no artifact named ${name}`);
    const { sha256, sizeBytes, storeId } = row;
    files.push({ path: `artifacts/${from}/${name}`, sha256, sizeBytes, ...keptIf(storeId !== null) });
  }
  return files;
}

interface RunEnvironment {
  readonly id: string;
  readonly projectId: string;
  readonly values: { readonly [name: string]: string };
}

async function environmentOf(db: Db, jobId: string): Promise<RunEnvironment> {
  const row = await db.sql.get<{ id: string; projectId: string; variables: string }>(
    `SELECT e."id", e."projectId", e."variables" FROM "JobRun" j JOIN "Environment" e ON e."id" = j."environmentId" WHERE j."id" = ?`,
    jobId,
  );
  const values: { [name: string]: string } = JSON.parse(row?.variables ?? "{}");
  return { id: row?.id ?? "", projectId: row?.projectId ?? "", values };
}

/** The values of the secrets that a step names, and a mark of which they are: processes that have others are not shared. */
async function secretsOf(
  { db, secrets }: TaskSources,
  { id: environmentId, projectId }: RunEnvironment,
  names: readonly string[],
): Promise<{ values: { [name: string]: string }; mark: string }> {
  const values: { [name: string]: string } = {};
  let mark = "";
  for (const name of [...new Set(names)].sort()) {
    const row = await readSecret(db.sql, environmentId, name);
    if (!row) throw new TaskError(`the secret ${name} is not set in the run's environment`);
    try {
      values[name] = await secrets.open({ projectId, environmentId, name }, row);
    } catch (error) {
      throw error instanceof SecretError ? new TaskError(error.message, { cause: error }) : error;
    }
    mark += `\n${name} ${sha256Hex(Buffer.from(row.sealed))}`;
  }
  return { values, mark: mark && `/${sha256Hex(Buffer.from(mark))}` };
}
