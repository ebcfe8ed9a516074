import type { RunnerStatus } from "@maia/domain";
import { fromDbTime, toDbTime } from "./time.js";
import type { Sql, Tx } from "./types.js";

/** A runner, as who watches the fleet sees it. */
export interface WatchedRunner {
  readonly id: string;
  readonly name: string;
  readonly platform: string;
  /** Null: it has no credentials. */
  readonly secretHash: string | null;
  readonly announcedStatus: RunnerStatus | null;
  /** 1 once it was removed: jobs that wait for it are to end, and there is nothing to tell of it. */
  readonly isRemoved: number;
}

/** All runners, the hosted one too; those that were removed while jobs wait for them. */
export function watchedRunners(sql: Sql): Promise<WatchedRunner[]> {
  return sql.all(
    `SELECT "id", "name", "platform", "secretHash", "announcedStatus", "deletedAt" IS NOT NULL AS "isRemoved" FROM "Runner"
     WHERE "deletedAt" IS NULL OR EXISTS (SELECT 1 FROM "JobRun" j WHERE j."status" = 'QUEUED' AND j."runnerId" = "Runner"."id") ORDER BY "id"`,
  );
}

/** An instance that has not said goodbye. */
export interface WatchedInstance {
  readonly id: string;
  readonly runnerId: string;
  readonly heartbeatSeq: number;
  /** 1 where it was found silent already. */
  readonly isSilent: number;
  /** 1 where it takes no new tasks. */
  readonly isStopping: number;
  /** 1 where its runner was removed: its credentials count no more, for good. */
  readonly isRemoved: number;
}

export function watchedInstances(sql: Sql): Promise<WatchedInstance[]> {
  return sql.all(
    `SELECT i."id", i."runnerId", i."heartbeatSeq", i."silentAt" IS NOT NULL AS "isSilent", i."stoppingAt" IS NOT NULL AS "isStopping",
       r."deletedAt" IS NOT NULL AS "isRemoved"
     FROM "RunnerInstance" i JOIN "Runner" r ON r."id" = i."runnerId" WHERE i."stoppedAt" IS NULL`,
  );
}

/** Notes that nothing is heard of an instance. False: it was heard meanwhile. */
export async function markSilent(tx: Tx, instanceId: string, seenSeq: number, now: Date): Promise<boolean> {
  const text = `UPDATE "RunnerInstance" SET "silentAt" = ? WHERE "id" = ? AND "heartbeatSeq" = ? AND "silentAt" IS NULL AND "stoppedAt" IS NULL`;
  const changed = await tx.sql.run(text, toDbTime(now), instanceId, seenSeq);
  if (changed === 1) tx.ring("engine");
  return changed === 1;
}

/** A pause that nobody has resumed. */
export interface OpenPause {
  readonly id: string;
  readonly runnerId: string;
  readonly quietAt: Date | null;
}

export async function openPauses(sql: Sql): Promise<OpenPause[]> {
  const rows = await sql.all<{ id: string; runnerId: string; quietAt: string | null }>(
    `SELECT "id", "runnerId", "quietAt" FROM "RunnerPause" WHERE "resumedAt" IS NULL`,
  );
  return rows.map(({ quietAt, ...row }) => ({ ...row, quietAt: fromDbTime(quietAt) }));
}

/** Notes that a pause has ended by itself: what follows from its times anyway, so that nobody looks at it again. */
export async function markResumed(tx: Tx, pauseId: string, until: Date): Promise<boolean> {
  const text = `UPDATE "RunnerPause" SET "resumedAt" = ? WHERE "id" = ? AND "resumedAt" IS NULL`;
  return (await tx.sql.run(text, toDbTime(until), pauseId)) === 1;
}

/** Notes that all that ran on a paused runner has ended; its time counts from here. */
export async function markQuiet(tx: Tx, pauseId: string, now: Date): Promise<boolean> {
  const text = `UPDATE "RunnerPause" SET "quietAt" = ? WHERE "id" = ? AND "quietAt" IS NULL AND "resumedAt" IS NULL`;
  return (await tx.sql.run(text, toDbTime(now), pauseId)) === 1;
}

/** What there is to tell of a runner. */
export interface Announcement {
  readonly status: RunnerStatus;
  readonly connected: boolean;
  readonly pausedUntil: Date | null;
}

/** Tells that a runner's status has changed, once, whoever finds it first. */
export async function announceStatus(
  tx: Tx,
  { id, name, announcedStatus }: Pick<WatchedRunner, "id" | "name" | "announcedStatus">,
  { status, connected, pausedUntil }: Announcement,
  now: Date,
): Promise<boolean> {
  const text = `UPDATE "Runner" SET "announcedStatus" = ? WHERE "id" = ? AND "announcedStatus" IS ?`;
  if ((await tx.sql.run(text, status, id, announcedStatus)) === 0) return false;
  const at = now.toISOString();
  const until = pausedUntil?.toISOString() ?? null;
  await tx.event("runner_status", {}, { runnerId: id, runnerName: name, status, connected, pausedUntil: until, at });
  return true;
}

/** The runs with an open transaction on a runner. */
export async function openTransactionRuns(sql: Sql, runnerId: string): Promise<string[]> {
  const text = `SELECT DISTINCT "runId" FROM "StepTransaction" WHERE "runnerId" = ? AND "closedAt" IS NULL`;
  return (await sql.all<{ runId: string }>(text, runnerId)).map(({ runId }) => runId);
}
