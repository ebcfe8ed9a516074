import { type AttemptMove, type AttemptStatus, attemptMoves, type FailureFacts } from "@maia/domain";
import type { OwnedRun } from "./runs.js";
import { toDbTime } from "./time.js";
import type { Sql, Tx } from "./types.js";

/** An attempt as its writers name it: `epoch` fences out older owners. */
export interface AttemptRef {
  readonly id: string;
  readonly runId: string;
  readonly projectId: string;
  readonly stepKey: string;
  readonly no: number;
  readonly epoch: number;
}

export interface NewAttempt {
  readonly id: string;
  readonly stepKey: string;
  readonly no: number;
  readonly token: string;
  readonly engineId: string;
  readonly runnerId: string | null;
  /** The process of the runner, where the gateway carries the attempt. */
  readonly instanceId?: string | null;
  readonly ledgerId: string | null;
}

/** Opens an attempt, DISPATCHING and bound to a ledger, before anything is sent anywhere. */
export async function insertAttempt(tx: Tx, run: OwnedRun, attempt: NewAttempt, now: Date): Promise<AttemptRef> {
  await tx.sql.run(
    `INSERT INTO "Attempt" ("id", "runId", "stepKey", "no", "status", "epoch", "engineId", "token", "runnerId", "instanceId", "ledgerId", "createdAt")
     VALUES (?, ?, ?, ?, 'DISPATCHING', ?, ?, ?, ?, ?, ?, ?)`,
    attempt.id,
    run.id,
    attempt.stepKey,
    attempt.no,
    run.epoch,
    attempt.engineId,
    attempt.token,
    attempt.runnerId,
    attempt.instanceId ?? null,
    attempt.ledgerId,
    toDbTime(now),
  );
  const ref = {
    id: attempt.id,
    runId: run.id,
    projectId: run.projectId,
    stepKey: attempt.stepKey,
    no: attempt.no,
    epoch: run.epoch,
  };
  await attemptEvent(tx, ref, "DISPATCHING", now);
  return ref;
}

/** What the end of an attempt leaves on its row. */
export interface AttemptEndFacts {
  readonly exitCode?: number | null;
  readonly signal?: string | null;
  readonly reason?: string | null;
  readonly failure?: FailureFacts | null;
}

/** Ends an attempt and tells its followers, or does neither. */
export async function endAttempt(
  tx: Tx,
  attempt: AttemptRef,
  name: Exclude<AttemptMove, "started">,
  facts: AttemptEndFacts,
  now: Date,
): Promise<boolean> {
  const { from, to } = attemptMoves[name];
  const changed = await tx.sql.run(
    `UPDATE "Attempt" SET "status" = ?, "exitCode" = ?, "signal" = ?, "reason" = ?, "failure" = ?, "finishedAt" = ?
     WHERE "id" = ? AND "epoch" = ? AND "status" IN (${from.map(() => "?").join(", ")})`,
    to,
    facts.exitCode ?? null,
    facts.signal ?? null,
    facts.reason ?? null,
    facts.failure ? JSON.stringify(facts.failure) : null,
    toDbTime(now),
    attempt.id,
    attempt.epoch,
    ...from,
  );
  if (changed === 0) return false;
  await attemptEvent(tx, attempt, to, now, {
    exitCode: facts.exitCode ?? null,
    signal: facts.signal ?? null,
    reason: facts.reason ?? null,
    failure: facts.failure ?? null,
  });
  return true;
}

/** Notes that the process runs. */
export async function startAttempt(
  tx: Tx,
  attempt: AttemptRef,
  facts: { readonly isolation: string; readonly reused: boolean },
  now: Date,
): Promise<boolean> {
  const changed = await tx.sql.run(
    `UPDATE "Attempt" SET "status" = 'RUNNING', "isolation" = ?, "reused" = ?, "startedAt" = ? WHERE "id" = ? AND "epoch" = ? AND "status" = 'DISPATCHING'`,
    facts.isolation,
    facts.reused ? 1 : 0,
    toDbTime(now),
    attempt.id,
    attempt.epoch,
  );
  if (changed === 0) return false;
  await attemptEvent(tx, attempt, "RUNNING", now, { isolation: facts.isolation });
  return true;
}

/** Notes that the attempt is to be stopped, so that a new owner of the run knows it too. */
export async function requestStop(tx: Tx, run: OwnedRun, attemptId: string, now: Date): Promise<void> {
  const text = `UPDATE "Attempt" SET "stopRequestedAt" = ? WHERE "id" = ? AND "epoch" = ? AND "stopRequestedAt" IS NULL`;
  await tx.sql.run(text, toDbTime(now), attemptId, run.epoch);
}

/** An attempt that has not ended, as who adopts its run finds it. */
export interface LiveAttempt {
  readonly id: string;
  readonly stepKey: string;
  readonly no: number;
  readonly status: "DISPATCHING" | "RUNNING";
  readonly lastSeq: number;
  /** So many of the lines are Maia's own; the executor counts its frames after them. */
  readonly seqBase: number;
  readonly ledgerId: string | null;
  readonly instanceId: string | null;
  readonly offeredAt: string | null;
  readonly token: string;
  readonly stopRequestedAt: string | null;
}

export async function liveAttempts(sql: Sql, runId: string): Promise<LiveAttempt[]> {
  return sql.all(
    `SELECT "id", "stepKey", "no", "status", "lastSeq", "seqBase", "ledgerId", "instanceId", "offeredAt", "token", "stopRequestedAt" FROM "Attempt"
     WHERE "runId" = ? AND "status" IN ('DISPATCHING', 'RUNNING')`,
    runId,
  );
}

/** The data of each succeeded step of a run, its own and reused ones, by step key, as JSON text. */
export async function stepOutputs(sql: Sql, runId: string): Promise<Map<string, string>> {
  const rows = await sql.all<{ stepKey: string; output: string }>(
    `SELECT "stepKey", "output" FROM "Attempt" WHERE "runId" = ? AND "status" = 'SUCCEEDED'
     UNION ALL SELECT s."key", a."output" FROM "RunStep" s JOIN "Attempt" a ON a."id" = s."reusedAttemptId" WHERE s."runId" = ?`,
    runId,
    runId,
  );
  return new Map(rows.map((row) => [row.stepKey, row.output]));
}

async function attemptEvent(
  tx: Tx,
  attempt: AttemptRef,
  status: AttemptStatus,
  now: Date,
  more: object = {},
): Promise<void> {
  const { id: attemptId, runId, stepKey, no: attemptNo, epoch } = attempt;
  const data = { runId, stepKey, attemptNo, attemptId, status, epoch, at: now.toISOString(), ...more };
  await tx.event("attempt_status", { runId, projectId: attempt.projectId }, data);
}
