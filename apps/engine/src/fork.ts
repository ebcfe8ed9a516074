import { findOrigin, findRerun, type OwnedRun, type QueuedJob, type Sql, type StepResult, stepResults } from "@maia/db";
import { aloneWith, type Rerun, stepsBefore, stepsToReuse } from "@maia/domain";
import type { LoadedVersion, Snapshots } from "@maia/tasks";

/** What a run begins with. */
export interface Fork {
  /** The version, or the part of it that the run has. */
  readonly version: LoadedVersion;
  /** Results of earlier runs, by step key. */
  readonly reused: ReadonlyMap<string, StepResult>;
  /** The very `initialInput` of the run that is done again; null: it is made from the job. */
  readonly input: string | null;
}

const NOTHING: ReadonlyMap<string, StepResult> = new Map();

/** How the run of a job begins: from nothing, or from what an earlier run has left. */
export async function openFork(sql: Sql, job: QueuedJob, whole: LoadedVersion): Promise<Fork> {
  const rerun = readRerun(job.rerun);
  const version = partOf(whole, rerun);
  if (rerun === null || rerun.kind === "whole" || job.originRunId === null) {
    return { version, reused: NOTHING, input: null };
  }
  const origin = await findOrigin(sql, job.originRunId);
  if (!origin) throw new Error(`run ${job.originRunId}, which it does again, does not exist any more`);
  const before = await stepResults(sql, origin.id);
  const keys =
    rerun.kind === "attempt"
      ? stepsBefore(version.snapshot.steps, rerun.stepKey)
      : stepsToReuse(
          version.snapshot.steps.map((step) => ({ ...step, status: before.get(step.key)?.status ?? "SKIPPED" })),
          rerun.from,
        );
  const reused = new Map<string, StepResult>();
  for (const { key } of version.snapshot.steps) {
    if (!keys.has(key)) continue;
    const result = before.get(key)?.result;
    if (!result) throw new Error(`step ${key} of run ${origin.id} has no result to reuse`);
    reused.set(key, result);
  }
  return { version, reused, input: origin.initialInput };
}

/** The version as a run has it: whoever adopts the run sees the part of it that the run began with. */
export async function versionOf(sql: Sql, snapshots: Snapshots, run: OwnedRun): Promise<LoadedVersion> {
  return partOf(await snapshots.load(run.versionId, sql), readRerun(await findRerun(sql, run.jobId)));
}

function readRerun(text: string | null): Rerun | null {
  return text === null ? null : (JSON.parse(text) as Rerun);
}

function partOf(version: LoadedVersion, rerun: Rerun | null): LoadedVersion {
  return rerun?.kind === "attempt" ? { ...version, snapshot: aloneWith(version.snapshot, rerun.stepKey) } : version;
}
