import { findAttempt, findOrigin, findStepArtifact, type Origin, type Sql, stepResults } from "@maia/db";
import {
  aloneProblem,
  canonicalJson,
  type ForkStep,
  forkProblem,
  invalid,
  isRunOver,
  MaiaError,
  newId,
  type Rerun,
  type StepSnapshot,
  sha256Hex,
  stepsToReuse,
  storedSnapshot,
} from "@maia/domain";
import type { Caller, IntakeContext } from "./context.js";
import type { CreatedJob } from "./create-job.js";
import { madeBefore, takeKey } from "./idempotency.js";
import { jobRulesOf } from "./job-rules.js";
import { checkParams } from "./prepare-job.js";
import type { RerunRequest } from "./rerun-request.js";
import { runnerAgain } from "./resolve.js";
import { type OriginFile, originFiles, storeRerun } from "./store-rerun.js";

export interface RerunContext extends IntakeContext {
  /** Makes content of the blob store young again, so that it is not collected. False: it is not there. */
  readonly touchBlob: (sha256: string) => Promise<boolean>;
}

/**
 * Takes in a job that does a run again: whole, from a step on, or one attempt. The run must have ended, so that what is
 * reused of it never changes any more; nothing is copied but references. It runs where the run did.
 * @throws {MaiaError} NOT_FOUND, STATE_CONFLICT, RUNNER_NOT_ALLOWED, INVALID, RESERVED_KEY, BLOB_UNKNOWN, IDEMPOTENCY_KEY_REUSED
 */
export async function rerunRun(
  context: RerunContext,
  runId: string,
  request: RerunRequest,
  caller: Caller,
  idempotencyKey: string | null,
  now: Date,
): Promise<CreatedJob> {
  const { db, idempotencyTtlMs: ttlMs } = context;
  const { principal } = caller;
  const requestHash = sha256Hex(canonicalJson({ rerun: runId, ...request }));
  const place = "/v1/jobs/" as const;
  const once = idempotencyKey === null ? null : { principal, key: idempotencyKey, requestHash, ttlMs, place };
  const before = once && (await madeBefore(db.sql, once, now));
  if (before) return { jobId: before, replayed: true };

  const found = await endedRun(db.sql, runId, caller);
  const { dataResidency, ...rest } = found;
  // What was kept at the runner stays there, whatever the environment says by now.
  const stays = dataResidency === "runner" ? { dataResidency } : {};
  const origin = { ...rest, ...stays, runnerId: await runnerAgain(db.sql, found) };
  const steps = await forkSteps(db.sql, origin);
  const rerun = await planOf(db.sql, origin, steps, request);
  const { inputSpec, queueTimeoutMs } = await jobRulesOf(db.sql, origin.versionId);
  const params =
    request.params === null ? origin.params : await checkParams(context.schemas, inputSpec, request.params);
  const files = await originFiles(db.sql, origin.jobId);
  await requireContent(context, origin, steps, rerun, files);

  const cause = {
    trigger: "rerun" as const,
    originRunId: origin.id,
    rerun: JSON.stringify(rerun),
    requestedBy: principal,
  };
  return db.write(async (tx) => {
    const jobId = newId("job", now);
    const twin = once && !(await takeKey(tx, once, jobId, now)) ? await madeBefore(tx.sql, once, now) : null;
    if (twin) return { jobId: twin, replayed: true };
    await storeRerun(tx, jobId, { ...origin, params, queueTimeoutMs }, files, cause, now);
    await caller.onMade?.(tx, jobId);
    return { jobId, replayed: false };
  });
}

async function endedRun(sql: Sql, runId: string, { projects }: Caller): Promise<Origin> {
  const origin = await findOrigin(sql, runId);
  if (!origin || (projects !== null && !projects.includes(origin.projectId))) {
    throw new MaiaError("NOT_FOUND", "There is no such run");
  }
  if (!isRunOver(origin.status)) {
    const message = `The run is ${origin.status}; wait for its end or cancel it, and then run it again`;
    throw new MaiaError("STATE_CONFLICT", message);
  }
  if (origin.isWorkflowDeleted) {
    throw new MaiaError("STATE_CONFLICT", `Workflow ${origin.workflow} was deleted; apply it again to run it again`);
  }
  return origin;
}

/** A run that is done again, where it ran. */
type Again = Omit<Origin, "dataResidency"> & Partial<Pick<Origin, "dataResidency">>;

type OriginStep = ForkStep & Pick<StepSnapshot, "artifacts">;

/** The steps of the workflow as the run has left them. */
async function forkSteps(sql: Sql, origin: Again): Promise<readonly OriginStep[]> {
  const text = `SELECT "workflowSnap" FROM "WorkflowVersion" WHERE "id" = ?`;
  const row = await sql.get<{ workflowSnap: string }>(text, origin.versionId);
  const { steps } = storedSnapshot(row!.workflowSnap);
  const results = await stepResults(sql, origin.id);
  return steps.map((step) => ({ ...step, status: results.get(step.key)?.status ?? "SKIPPED" }));
}

async function planOf(
  sql: Sql,
  origin: Again,
  steps: readonly ForkStep[],
  { from, attemptId }: RerunRequest,
): Promise<Rerun> {
  if (from !== null) {
    const problem = forkProblem(steps, from);
    if (problem) throw invalid([{ pointer: "/from", message: problem }]);
    return { kind: "from", from };
  }
  if (attemptId === null) return { kind: "whole" };
  const attempt = await findAttempt(sql, origin.id, attemptId);
  const refused = (message: string) => invalid([{ pointer: "/attemptId", message }]);
  if (!attempt) throw refused(`is no attempt of run ${origin.id}; GET /v1/runs/${origin.id} names them`);
  const problem = aloneProblem(steps.find(({ key }) => key === attempt.stepKey)!);
  if (problem) throw refused(problem);
  return { kind: "attempt", attemptId, stepKey: attempt.stepKey, attemptNo: attempt.no };
}

/** The bytes that the re-run will need must still be there; what a runner's store has is for the runner to look for. */
async function requireContent(
  { db, touchBlob }: RerunContext,
  origin: Again,
  steps: readonly OriginStep[],
  rerun: Rerun,
  files: readonly OriginFile[],
): Promise<void> {
  const gone: string[] = [];
  for (const { name, sha256, storeId } of files) {
    if (sha256 !== null && storeId === null && !(await touchBlob(sha256))) gone.push(`input file ${name}`);
  }
  for (const { from, name } of wantedArtifacts(steps, rerun)) {
    const artifact = await findStepArtifact(db.sql, origin.id, from, name);
    if (artifact?.storeId === null && !(await touchBlob(artifact.sha256))) gone.push(`${name} of step ${from}`);
  }
  if (gone.length === 0) return;
  const pointer = rerun.kind === "whole" ? "" : rerun.kind === "from" ? "/from" : "/attemptId";
  const message = `needs content that is not here any more: ${gone.slice(0, 10).join(", ")}; start a new job with the files`;
  throw invalid([{ pointer, message }], "BLOB_UNKNOWN");
}

/** The files that steps which run again take from steps that do not. */
function wantedArtifacts(steps: readonly OriginStep[], rerun: Rerun) {
  if (rerun.kind === "whole") return [];
  if (rerun.kind === "attempt") return steps.find(({ key }) => key === rerun.stepKey)?.artifacts ?? [];
  const reused = stepsToReuse(steps, rerun.from);
  return steps
    .filter(({ key }) => !reused.has(key))
    .flatMap(({ artifacts = [] }) => artifacts.filter(({ from }) => reused.has(from)));
}
