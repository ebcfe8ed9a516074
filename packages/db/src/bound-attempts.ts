import type { DataResidency } from "@maia/domain";
import type { KeptBy } from "./artifacts.js";
import type { AttemptRef } from "./attempts.js";
import type { OwnedRun } from "./runs.js";
import { toDbTime } from "./time.js";
import type { Sql, Tx } from "./types.js";

/** A live attempt that is bound to an instance of a runner. */
export interface BoundAttempt {
  readonly ref: AttemptRef;
  readonly run: OwnedRun;
  /** The name of the run's environment. */
  readonly environment: string;
  /** The store of its runner in which its artifacts stay; null: they come to Maia. */
  readonly keptBy: KeptBy | null;
  readonly status: string;
  readonly token: string;
  readonly runnerId: string;
  readonly instanceId: string;
  readonly lastSeq: number;
  readonly seqBase: number;
  readonly isOffered: boolean;
  readonly isHanded: boolean;
  /** It is to end, by its own or by the run's cancel. */
  readonly isStopped: boolean;
}

interface Row {
  readonly id: string;
  readonly runId: string;
  readonly stepKey: string;
  readonly no: number;
  readonly epoch: number;
  readonly status: string;
  readonly token: string;
  readonly runnerId: string;
  readonly instanceId: string;
  readonly lastSeq: number;
  readonly seqBase: number;
  readonly offeredAt: string | null;
  readonly handedAt: string | null;
  readonly stopAt: string | null;
  readonly jobRunId: string;
  readonly projectId: string;
  readonly workflowId: string;
  readonly workflowVersionId: string;
  readonly environment: string;
  readonly dataResidency: DataResidency;
  readonly storeId: string | null;
}

const SELECT = `SELECT a."id", a."runId", a."stepKey", a."no", a."epoch", a."status", a."token", a."runnerId", a."instanceId",
    a."lastSeq", a."seqBase", a."offeredAt", a."handedAt", COALESCE(a."stopRequestedAt", r."cancelRequestedAt") AS "stopAt",
    r."jobRunId", r."projectId", r."workflowId", r."workflowVersionId", e."name" AS "environment",
    j."dataResidency", r."storeId"
  FROM "Attempt" a JOIN "Run" r ON r."id" = a."runId" JOIN "JobRun" j ON j."id" = r."jobRunId"
    JOIN "Environment" e ON e."id" = j."environmentId"`;

/** The attempts of an instance that have not ended, oldest first. */
export async function boundAttempts(sql: Sql, runnerId: string, instanceId: string): Promise<BoundAttempt[]> {
  const where = `WHERE a."status" IN ('DISPATCHING', 'RUNNING') AND a."runnerId" = ? AND a."instanceId" = ? ORDER BY a."id"`;
  return (await sql.all<Row>(`${SELECT} ${where}`, runnerId, instanceId)).map(boundAttempt);
}

/** The attempt of a runner's instance with this id, ended or not. */
export async function findBoundAttempt(sql: Sql, runnerId: string, attemptId: string): Promise<BoundAttempt | null> {
  const where = `WHERE a."id" = ? AND a."runnerId" = ? AND a."instanceId" IS NOT NULL`;
  const row = await sql.get<Row>(`${SELECT} ${where}`, attemptId, runnerId);
  return row ? boundAttempt(row) : null;
}

function boundAttempt(row: Row): BoundAttempt {
  const { id, runId, projectId, stepKey, no, epoch } = row;
  const { jobRunId: jobId, workflowId, workflowVersionId: versionId } = row;
  const { environment, dataResidency, storeId, status, token, runnerId, instanceId, lastSeq, seqBase } = row;
  return {
    ref: { id, runId, projectId, stepKey, no, epoch },
    run: { id: runId, jobId, projectId, workflowId, versionId, runnerId, dataResidency, epoch },
    ...{ environment, status, token, runnerId, instanceId, lastSeq, seqBase },
    keptBy: dataResidency === "runner" && storeId !== null ? { storeId, runnerId } : null,
    isOffered: row.offeredAt !== null,
    isHanded: row.handedAt !== null,
    isStopped: row.stopAt !== null,
  };
}

/** Lets an attempt that is bound to an instance go there, and wakes who hands it over. False: it is over, or not ours. */
export async function offerAttempt(tx: Tx, { id, epoch }: AttemptRef, now: Date): Promise<boolean> {
  const changed = await tx.sql.run(
    `UPDATE "Attempt" SET "offeredAt" = ? WHERE "id" = ? AND "epoch" = ? AND "status" = 'DISPATCHING'
       AND "instanceId" IS NOT NULL AND "offeredAt" IS NULL`,
    toDbTime(now),
    id,
    epoch,
  );
  if (changed === 1) tx.ring("engine");
  return changed === 1;
}

/** Notes that the task of an offered attempt leaves Maia, before it does. False: it has ended, or was withdrawn. */
export async function handOver(tx: Tx, attemptId: string, instanceId: string, now: Date): Promise<boolean> {
  const changed = await tx.sql.run(
    `UPDATE "Attempt" SET "handedAt" = COALESCE("handedAt", ?) WHERE "id" = ? AND "instanceId" = ?
       AND ("handedAt" IS NOT NULL OR ("offeredAt" IS NOT NULL AND "status" = 'DISPATCHING'))
       AND "status" IN ('DISPATCHING', 'RUNNING')`,
    toDbTime(now),
    attemptId,
    instanceId,
  );
  return changed === 1;
}

/** Notes that the answer with a task never arrived, so that the attempt is not in flight. False: it has been heard of. */
export async function noteUndelivered(tx: Tx, attemptId: string): Promise<boolean> {
  const text = `UPDATE "Attempt" SET "handedAt" = NULL WHERE "id" = ? AND "status" = 'DISPATCHING' AND "lastSeq" = "seqBase"`;
  const changed = await tx.sql.run(text, attemptId);
  if (changed === 1) tx.ring("engine");
  return changed === 1;
}

/** Notes that an attempt is with its instance after all: its frames say so. */
export async function noteHeard(tx: Tx, attemptId: string, now: Date): Promise<void> {
  const text = `UPDATE "Attempt" SET "handedAt" = ? WHERE "id" = ? AND "handedAt" IS NULL`;
  await tx.sql.run(text, toDbTime(now), attemptId);
}

/** The transactions that are open on a runner, as `runId/name`, with the instance that each is bound to. */
export async function openTransactionsOn(sql: Sql, runnerId: string): Promise<ReadonlyMap<string, string | null>> {
  const rows = await sql.all<{ runId: string; name: string; instanceId: string | null }>(
    `SELECT "runId", "name", "instanceId" FROM "StepTransaction" WHERE "runnerId" = ? AND "closedAt" IS NULL`,
    runnerId,
  );
  return new Map(rows.map(({ runId, name, instanceId }) => [`${runId}/${name}`, instanceId]));
}
