import type { Db, JobView, RunDetail, Sql } from "@maia/db";
import { findRunDetail } from "@maia/db";
import { hasDependencies } from "@maia/domain";
import { readableSnapshot } from "./present/snapshot.js";
import { explainRunner } from "./why-runner.js";

/** One reason why a job is where it is. */
export interface Reason {
  readonly code: string;
  readonly message: string;
  /** What its reader can do about it. */
  readonly action?: string;
}

/** As far as jobs ahead in the queue are counted. */
const COUNTED = 1_000;

/** Why a job is where it is, from what is true now; what matters most comes first. */
export async function explainJob(db: Db, job: JobView, autoResumeMs: number, now: Date): Promise<Reason[]> {
  switch (job.status) {
    case "QUEUED":
      return [...(await explainRunner(db.sql, job, autoResumeMs, now)), ...(await explainQueued(db, job))];
    case "RUNNING":
      return explainRunning(db, job, autoResumeMs, now);
    case "SUCCEEDED":
      return [{ code: "SUCCEEDED", message: "The job has succeeded" }];
    case "FAILED":
    case "CANCELED": {
      const failure = job.failure === null ? null : (JSON.parse(job.failure) as Reason);
      return [{ code: failure?.code ?? job.status, message: failure?.message ?? `The job has ended ${job.status}` }];
    }
  }
}

async function explainQueued({ sql }: Db, job: JobView): Promise<Reason[]> {
  const engine = await sql.get(`SELECT 1 AS "one" FROM "Engine" WHERE "endedAt" IS NULL LIMIT 1`);
  const ahead = await sql.get<{ count: number }>(
    `SELECT count(*) AS "count" FROM (SELECT 1 AS "one" FROM "JobRun" WHERE "status" = 'QUEUED'
     AND ("priority" > ? OR ("priority" = ? AND "workflowId" = ? AND "id" < ?)) LIMIT ?) AS "ahead"`,
    job.priority,
    job.priority,
    job.workflowId,
    job.id,
    COUNTED + 1,
  );
  if (job.batchId !== null && (await isHeld(sql, job.batchId))) {
    const message = "The job is a row of a batch that is paused";
    return [{ code: "BATCH_PAUSED", message, action: `Resume it: maia batches resume ${job.batchId}` }];
  }
  const count = ahead?.count ?? 0;
  const many = count > COUNTED ? `more than ${COUNTED} jobs are` : count === 1 ? "1 job is" : `${count} jobs are`;
  const action = "Start one: maia up, or maia engine";
  return [
    ...(engine ? [] : [{ code: "NO_ENGINE", message: "No engine is running", action }]),
    count === 0
      ? { code: "QUEUED_NEXT", message: "The job is the next one, as soon as an engine has room" }
      : {
          code: "QUEUED_BEHIND",
          message: `The job is queued, and ${many} ahead of it; other workflows take turns with it`,
        },
  ];
}

async function isHeld(sql: Sql, batchId: string): Promise<boolean> {
  const text = `SELECT 1 AS "one" FROM "Batch" WHERE "id" = ? AND "status" = 'PAUSED'`;
  return (await sql.get(text, batchId)) !== undefined;
}

async function explainRunning(db: Db, job: JobView, autoResumeMs: number, now: Date): Promise<Reason[]> {
  const canceling = { code: "CANCELING", message: "The job was asked to end, and its steps are being stopped" };
  const run = job.runId === null ? null : await findRunDetail(db, null, job.runId);
  const isQueued = run?.steps.some(({ status, queuedAt }) => status === "PENDING" && queuedAt !== null) ?? false;
  const waits = isQueued || (run?.status === "PENDING_INPUTS" && run.job.dataResidency === "runner");
  const runner = waits ? await explainRunner(db.sql, job, autoResumeMs, now) : [];
  return [
    ...(job.cancelRequestedAt ? [canceling] : []),
    ...runner,
    ...(run ? explainRun(run, job.runnerName ?? "", now) : []),
  ];
}

function explainRun(run: RunDetail, runner: string, now: Date): Reason[] {
  if (run.status === "PENDING_INPUTS") {
    const missing = run.job.files.filter(({ status }) => status === "FETCHING");
    return missing.map(({ name }) => ({
      code: "FETCHING_INPUT",
      message: `The input file ${name} is being downloaded`,
    }));
  }
  const snapshot = readableSnapshot(run.version.workflowSnap);
  const statuses = new Map(run.steps.map((step) => [step.key, step.status]));
  return run.steps.flatMap((step) => {
    const deps = snapshot.steps.find(({ key }) => key === step.key)?.deps ?? [];
    const waits = deps.filter((dep) => statuses.get(dep) !== "SUCCEEDED");
    const needsPackages = hasDependencies(snapshot.dependencies);
    return explainStep(step, { waits, runner, needsPackages }, now);
  });
}

function explainStep(
  step: RunDetail["steps"][number],
  { waits, runner, needsPackages }: { waits: readonly string[]; runner: string; needsPackages: boolean },
  now: Date,
): Reason[] {
  if (step.status === "PENDING") {
    if (waits.length > 0) return [{ code: "STEP_WAITS", message: `Step ${step.key} waits for ${waits.join(", ")}` }];
    if (step.queuedAt) {
      const message = `Step ${step.key} is ready, and waits for the runner ${runner} since ${step.queuedAt.toISOString()}`;
      return [{ code: "QUEUED_ON_RUNNER", message }];
    }
    return [{ code: "STEP_READY", message: `Step ${step.key} is ready and waits for room to run` }];
  }
  if (step.status !== "RUNNING") return [];
  const last = step.attempts.at(-1);
  if (step.nextAttemptAt) {
    const at = step.nextAttemptAt.toISOString();
    return [{ code: "STEP_RETRIES", message: `Step ${step.key} failed and is tried again at ${at}` }];
  }
  if (last?.status === "DISPATCHING") return [explainStart(step.key, last, needsPackages, now)];
  return [{ code: "STEP_RUNNING", message: `Attempt ${last?.no ?? 1} of step ${step.key} is running` }];
}

/** A start takes milliseconds; one that takes longer waits for a runner that is away, full, or lets nobody in. */
const SLOW_START_MS = 3_000;

function explainStart(
  key: string,
  { no, createdAt }: { no: number; createdAt: Date },
  needsPackages: boolean,
  now: Date,
): Reason {
  if (needsPackages) {
    const message = `Attempt ${no} of step ${key} is being started, once its packages are installed`;
    return { code: "STEP_PREPARING", message, action: "See the step's log for how the installation goes" };
  }
  const sinceMs = now.getTime() - createdAt.getTime();
  if (sinceMs < SLOW_START_MS)
    return { code: "STEP_STARTING", message: `Attempt ${no} of step ${key} is being started` };
  return {
    code: "STEP_STARTING",
    message: `Attempt ${no} of step ${key} was sent ${Math.round(sinceMs / 1_000)} s ago and has not begun: where it runs, nobody takes it`,
    action:
      "Look whether the runner is up, has a free slot, and takes the engine's token; the engine's log says what it answers",
  };
}
