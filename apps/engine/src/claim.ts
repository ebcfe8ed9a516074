import {
  bindStore,
  inheritedStore,
  initialFiles,
  insertRun,
  isEngineLive,
  moveJob,
  type OwnedRun,
  type QueuedJob,
  type Tx,
} from "@maia/db";
import { newId } from "@maia/domain";
import type { LoadedVersion, Snapshots } from "@maia/tasks";
import { type Advanced, type Advancer, advanceRun } from "./advance.js";
import { openFork } from "./fork.js";
import type { Hold } from "./slots.js";

/** A job that became a run, and what its first steps need. */
export interface Claimed {
  readonly run: OwnedRun;
  readonly version: LoadedVersion;
  readonly advanced: Advanced;
}

/**
 * Claims queued jobs: JobRun, Run, RunSteps, first attempts and their events in one write (G3). A job whose own facts
 * cannot be read fails by itself and hurts no other (G12).
 */
export async function claimJobs(
  tx: Tx,
  jobs: readonly QueuedJob[],
  who: Advancer,
  snapshots: Snapshots,
  hold: Hold,
  now: Date,
): Promise<Claimed[]> {
  const claimed: Claimed[] = [];
  if (!(await isEngineLive(tx, who.engineId))) return []; // a dead engine's claims would belong to nobody
  for (const job of jobs) {
    const plan = await prepare(tx, job, snapshots, now).catch((error: Error) => error);
    if (plan instanceof Error) {
      await refuseJob(tx, job, plan, now);
      continue;
    }
    if (!(await moveJob(tx, job, "claim", now, { runId: plan.run.id }))) continue;
    await insertRun(tx, { ...plan.run, ...plan.opening, ownerId: who.engineId }, now);
    if (plan.storeId !== null) await bindStore(tx, plan.run, plan.storeId);
    const advanced = await advanceRun(tx, plan.run, plan.version, who, hold, now);
    claimed.push({ run: plan.run, version: plan.version, advanced });
  }
  return claimed;
}

/** Fails a job that cannot become a run. */
export async function refuseJob(tx: Tx, job: QueuedJob, why: Error, now: Date): Promise<void> {
  const failure = { code: "INTERNAL" as const, message: `The job cannot be opened: ${why.message}` };
  await moveJob(tx, job, "refuse", now, { failure });
}

async function prepare(tx: Tx, job: QueuedJob, snapshots: Snapshots, now: Date) {
  const whole = await snapshots.load(job.workflowVersionId, tx.sql);
  const { version, reused, input } = await openFork(tx.sql, job, whole);
  const files = await initialFiles(tx, job.id);
  const run: OwnedRun = {
    id: newId("run", now),
    jobId: job.id,
    projectId: job.projectId,
    workflowId: job.workflowId,
    versionId: job.workflowVersionId,
    runnerId: job.runnerId,
    dataResidency: job.dataResidency,
    epoch: 1,
  };
  const status = files.every((file) => file.status === "READY") ? ("RUNNING" as const) : ("PENDING_INPUTS" as const);
  const isAsItWas = input !== null && status === "RUNNING";
  const initialInput = isAsItWas ? input : JSON.stringify({ ...JSON.parse(job.inputJson), files });
  const stepKeys = version.snapshot.steps.map((step) => step.key);
  const storeId = job.dataResidency === "maia" ? null : await inheritedStore(tx.sql, job, reused.size > 0);
  return { version, run, storeId, opening: { status, initialInput, stepKeys, reused } };
}
