import {
  type DataResidency,
  type FailureFacts,
  isRunOver,
  type Json,
  type RunMove,
  type RunStepMove,
  runMoves,
  runStepMoves,
} from "@maia/domain";
import type { StepResult } from "./forks.js";
import { moveJob } from "./job-runs.js";
import { toDbTime } from "./time.js";
import type { Db, Tx } from "./types.js";

/** A run that an engine owns. Writes that name another epoch than the row's match nothing. */
export interface OwnedRun {
  readonly id: string;
  readonly jobId: string;
  readonly projectId: string;
  readonly workflowId: string;
  readonly versionId: string;
  /** The runner that carries out its steps. */
  readonly runnerId: string;
  /** Where the bytes of its files and artifacts stay. */
  readonly dataResidency: DataResidency;
  readonly epoch: number;
}

export interface NewRun extends OwnedRun {
  readonly ownerId: string;
  readonly status: "PENDING_INPUTS" | "RUNNING";
  readonly initialInput: string;
  readonly stepKeys: readonly string[];
  /** Results of an earlier run, by step key: their steps begin SUCCEEDED. */
  readonly reused?: ReadonlyMap<string, StepResult>;
}

/** Opens a run with its steps, PENDING but for those whose results are reused. */
export async function insertRun(tx: Tx, run: NewRun, now: Date): Promise<void> {
  const at = toDbTime(now);
  await tx.sql.run(
    `INSERT INTO "Run" ("id", "jobRunId", "projectId", "workflowId", "workflowVersionId", "status", "initialInput", "ownerId", "ownerEpoch", "createdAt", "startedAt")
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    run.id,
    run.jobId,
    run.projectId,
    run.workflowId,
    run.versionId,
    run.status,
    run.initialInput,
    run.ownerId,
    run.epoch,
    at,
    run.status === "RUNNING" ? at : null,
  );
  const reused = run.reused ?? new Map<string, StepResult>();
  for (const [position, key] of run.stepKeys.entries()) {
    const result = reused.get(key);
    const done = result ? at : null;
    await tx.sql.run(
      `INSERT INTO "RunStep" ("runId", "key", "position", "status", "startedAt", "finishedAt", "reusedAttemptId") VALUES (?, ?, ?, ?, ?, ?, ?)`,
      run.id,
      key,
      position,
      result ? "SUCCEEDED" : "PENDING",
      done,
      done,
      result?.attemptId ?? null,
    );
  }
  const data = { runId: run.id, jobId: run.jobId, status: run.status, epoch: run.epoch, at: now.toISOString() };
  await tx.event("run_status", aboutRun(run), data);
  for (const [stepKey, reusedFrom] of reused) {
    const data = {
      runId: run.id,
      stepKey,
      status: "SUCCEEDED" as const,
      epoch: run.epoch,
      at: now.toISOString(),
      reusedFrom,
    };
    await tx.event("step_status", aboutRun(run), data);
  }
}

/** Moves a run that we own, its job with it when the run ends, and tells their followers, or does nothing. */
export async function moveRun(
  tx: Tx,
  run: OwnedRun,
  name: RunMove,
  now: Date,
  facts: { readonly failure?: FailureFacts | null; readonly outputs?: { readonly [name: string]: Json } | null } = {},
): Promise<boolean> {
  const { from, to } = runMoves[name];
  const at = toDbTime(now);
  const failure = facts.failure ?? null;
  const changed = await tx.sql.run(
    `UPDATE "Run" SET "status" = ?, "failure" = ?, "outputs" = ?, ${isRunOver(to) ? `"finishedAt"` : `"startedAt"`} = ?
     WHERE "id" = ? AND "ownerEpoch" = ? AND "status" IN (${from.map(() => "?").join(", ")})`,
    to,
    failure && JSON.stringify(failure),
    facts.outputs ? JSON.stringify(facts.outputs) : null,
    at,
    run.id,
    run.epoch,
    ...from,
  );
  if (changed === 0) return false;
  const data = {
    runId: run.id,
    jobId: run.jobId,
    status: to,
    epoch: run.epoch,
    at: now.toISOString(),
    ...(failure ? { failure } : {}),
  };
  await tx.event("run_status", aboutRun(run), data);
  if (isRunOver(to)) {
    const move = to === "SUCCEEDED" ? "succeed" : to === "FAILED" ? "fail" : "cancel";
    await moveJob(tx, { id: run.jobId, projectId: run.projectId }, move, now, { runId: run.id, failure });
  }
  return true;
}

/** Moves a step of a run that we own and tells its followers, or does neither. */
export async function moveStep(tx: Tx, run: OwnedRun, stepKey: string, name: RunStepMove, now: Date): Promise<boolean> {
  const { from, to } = runStepMoves[name];
  const stamp = to === "RUNNING" ? `"startedAt"` : `"finishedAt"`;
  const changed = await tx.sql.run(
    `UPDATE "RunStep" SET "status" = ?, "nextAttemptAt" = NULL, ${stamp} = ? WHERE "runId" = ? AND "key" = ? AND "status" = ?`,
    to,
    toDbTime(now),
    run.id,
    stepKey,
    from[0],
  );
  if (changed === 0) return false;
  await tx.event("step_status", aboutRun(run), {
    runId: run.id,
    stepKey,
    status: to,
    epoch: run.epoch,
    at: now.toISOString(),
  });
  return true;
}

/** Notes when the next attempt of a running step is due (null: it is being made). */
export async function setNextAttempt(
  tx: Tx,
  run: OwnedRun,
  stepKey: string,
  until: Date | null,
  now: Date,
): Promise<void> {
  const text = `UPDATE "RunStep" SET "nextAttemptAt" = ? WHERE "runId" = ? AND "key" = ? AND "status" = 'RUNNING'`;
  await tx.sql.run(text, until && toDbTime(until), run.id, stepKey);
  if (!until) return;
  const data = {
    runId: run.id,
    stepKey,
    status: "RUNNING" as const,
    epoch: run.epoch,
    at: now.toISOString(),
    nextAttemptAt: until.toISOString(),
  };
  await tx.event("step_status", aboutRun(run), data);
}

/** True while the run is ours: nobody has taken it over. */
export async function ownsRun(tx: Tx, run: OwnedRun): Promise<boolean> {
  return (
    (await tx.sql.get(`SELECT 1 AS "one" FROM "Run" WHERE "id" = ? AND "ownerEpoch" = ?`, run.id, run.epoch)) !==
    undefined
  );
}

/** Runs of ours that somebody asked to cancel and that have not ended. */
export async function cancelRequests(db: Db, ownerId: string): Promise<string[]> {
  const rows = await db.sql.all<{ id: string }>(
    `SELECT "id" FROM "Run" WHERE "status" IN ('PENDING_INPUTS', 'RUNNING') AND "ownerId" = ? AND "cancelRequestedAt" IS NOT NULL`,
    ownerId,
  );
  return rows.map((row) => row.id);
}

/** Steps of our runs that wait for a retry, the earliest first. */
export async function nextRetries(
  db: Db,
  ownerId: string,
): Promise<{ runId: string; stepKey: string; nextAttemptAt: string }[]> {
  return db.sql.all(
    `SELECT s."runId", s."key" AS "stepKey", s."nextAttemptAt" FROM "Run" r JOIN "RunStep" s ON s."runId" = r."id"
     WHERE r."status" = 'RUNNING' AND r."ownerId" = ? AND s."nextAttemptAt" IS NOT NULL AND s."status" = 'RUNNING'
     ORDER BY s."nextAttemptAt" LIMIT 100`,
    ownerId,
  );
}

/**
 * Makes runs ours whose owner has ended: the epoch of each grows, so that nothing the old owner still writes matches.
 * @returns the runs as they are now owned.
 */
export async function adoptRuns(tx: Tx, ownerId: string, limit: number): Promise<OwnedRun[]> {
  const orphans = await tx.sql.all<{ id: string; epoch: number }>(
    `SELECT r."id", r."ownerEpoch" AS "epoch" FROM "Run" r LEFT JOIN "Engine" e ON e."id" = r."ownerId"
     WHERE r."status" IN ('PENDING_INPUTS', 'RUNNING') AND (e."id" IS NULL OR e."endedAt" IS NOT NULL) ORDER BY r."id" LIMIT ?`,
    limit,
  );
  const adopted: OwnedRun[] = [];
  for (const { id, epoch } of orphans) {
    const text = `UPDATE "Run" SET "ownerId" = ?, "ownerEpoch" = "ownerEpoch" + 1 WHERE "id" = ? AND "ownerEpoch" = ?`;
    if ((await tx.sql.run(text, ownerId, id, epoch)) === 0) continue;
    await tx.sql.run(
      `UPDATE "Attempt" SET "epoch" = ? WHERE "runId" = ? AND "status" IN ('DISPATCHING', 'RUNNING')`,
      epoch + 1,
      id,
    );
    const run = await findOwnedRun(tx, id);
    if (run) adopted.push(run);
  }
  return adopted;
}

async function findOwnedRun(tx: Tx, id: string): Promise<OwnedRun | undefined> {
  return tx.sql.get(
    `SELECT r."id", r."jobRunId" AS "jobId", r."projectId", r."workflowId", r."workflowVersionId" AS "versionId", j."runnerId", j."dataResidency", r."ownerEpoch" AS "epoch"
     FROM "Run" r JOIN "JobRun" j ON j."id" = r."jobRunId" WHERE r."id" = ?`,
    id,
  );
}

/** Replaces what a run's steps will see as their input, while its files are still arriving. */
export async function setInitialInput(tx: Tx, run: OwnedRun, initialInput: string): Promise<boolean> {
  const text = `UPDATE "Run" SET "initialInput" = ? WHERE "id" = ? AND "ownerEpoch" = ? AND "status" = 'PENDING_INPUTS'`;
  return (await tx.sql.run(text, initialInput, run.id, run.epoch)) === 1;
}

function aboutRun(run: OwnedRun): { runId: string; projectId: string } {
  return { runId: run.id, projectId: run.projectId };
}
