import type { FailureFacts, Misfire, Overlap, ScheduleFacts, ScheduleKind, TickOutcome } from "@maia/domain";
import { fromDbTime, toDbTime } from "./time.js";
import type { Sql, Tx } from "./types.js";

/** A schedule as it stands. JSON stays text. */
export interface ScheduleRow extends ScheduleFacts {
  readonly id: string;
  readonly projectId: string;
  readonly workflowId: string;
  readonly name: string | null;
  readonly version: number | null;
  readonly environmentId: string | null;
  readonly runnerId: string | null;
  readonly priority: number;
  readonly labels: string;
  readonly params: string;
  readonly urlFiles: string;
  readonly overlap: Overlap;
  readonly enabled: boolean;
  readonly revision: number;
  readonly createdBy: string;
}

/** What a schedule is made from, and what may change in it. */
export type ScheduleValues = Omit<ScheduleRow, "id" | "projectId" | "workflowId" | "revision" | "createdBy">;

const COLUMNS = [
  "id", "projectId", "workflowId", "name", "version", "environmentId", "runnerId", "priority", "labels", "params", "urlFiles", "kind",
  "cron", "intervalMs", "timezone", "anchorAt", "misfire", "catchUpLimit", "overlap", "enabled", "nextRunAt", "revision", "createdBy",
] as const; // biome-ignore format: a list of columns

/** The columns of a `ScheduleRow`, for a table that is called `s`. */
export const SCHEDULE_COLUMNS = COLUMNS.map((name) => `s."${name}"`).join(", ");

/** A row as the driver gives it. */
export type RawSchedule = Omit<
  ScheduleRow,
  "anchorAt" | "nextRunAt" | "enabled" | "intervalMs" | "kind" | "misfire"
> & {
  readonly kind: string;
  readonly misfire: string;
  readonly anchorAt: string;
  readonly nextRunAt: string | null;
  readonly enabled: number;
  readonly intervalMs: number | bigint | null;
};

export function toSchedule<Row extends RawSchedule>(row: Row) {
  const { anchorAt, nextRunAt, enabled, intervalMs, kind, misfire, ...rest } = row;
  return {
    ...rest,
    kind: kind as ScheduleKind,
    misfire: misfire as Misfire,
    anchorAt: fromDbTime(anchorAt),
    nextRunAt: fromDbTime(nextRunAt),
    enabled: enabled === 1,
    intervalMs: intervalMs === null ? null : Number(intervalMs),
  };
}

/** Where a page of due schedules ended. */
export type DueCursor = Pick<ScheduleRow, "id" | "nextRunAt">;

/** Schedules that have come due, the longest waiting first, after those of the page before. */
export async function dueSchedules(
  sql: Sql,
  now: Date,
  after: DueCursor | null,
  limit: number,
): Promise<ScheduleRow[]> {
  const from = after?.nextRunAt ? toDbTime(after.nextRunAt) : "";
  const rows = await sql.all<RawSchedule>(
    `SELECT ${SCHEDULE_COLUMNS} FROM "Schedule" s
     WHERE s."enabled" = 1 AND s."nextRunAt" >= ? AND s."nextRunAt" <= ? AND (s."nextRunAt" > ? OR s."id" > ?)
     ORDER BY s."nextRunAt", s."id" LIMIT ?`,
    from,
    toDbTime(now),
    from,
    after?.id ?? "",
    limit,
  );
  return rows.map(toSchedule);
}

/** When the next schedule comes due; it may have come already. */
export async function nextDueAt(sql: Sql): Promise<Date | null> {
  const text = `SELECT MIN("nextRunAt") AS "at" FROM "Schedule" WHERE "enabled" = 1 AND "nextRunAt" IS NOT NULL`;
  return fromDbTime((await sql.get<{ at: string | null }>(text))?.at ?? null);
}

/** Moves a schedule past what is accounted for. False: somebody else did, or it was changed, so look again. */
export async function advanceSchedule(
  { sql }: Tx,
  seen: Pick<ScheduleRow, "id" | "nextRunAt" | "revision">,
  nextRunAt: Date | null,
): Promise<boolean> {
  if (seen.nextRunAt === null) return false;
  const changed = await sql.run(
    `UPDATE "Schedule" SET "nextRunAt" = ? WHERE "id" = ? AND "enabled" = 1 AND "nextRunAt" = ? AND "revision" = ?`,
    nextRunAt && toDbTime(nextRunAt),
    seen.id,
    toDbTime(seen.nextRunAt),
    seen.revision,
  );
  return changed === 1;
}

/** Notes that a schedule has made a job. */
export async function noteScheduleRun({ sql }: Tx, id: string, now: Date): Promise<void> {
  await sql.run(`UPDATE "Schedule" SET "lastRunAt" = ? WHERE "id" = ?`, toDbTime(now), id);
}

/** What became of an instant. */
export interface NewTick {
  readonly scheduleId: string;
  readonly dueAt: Date;
  readonly lastDueAt: Date;
  readonly count: number;
  readonly outcome: TickOutcome;
  readonly jobId?: string;
  readonly failure?: Pick<FailureFacts, "message"> & { readonly code: string };
}

/** Accounts for an instant, unless it has been accounted for already. */
export async function insertTick({ sql }: Tx, tick: NewTick, now: Date): Promise<void> {
  await sql.run(
    `INSERT INTO "ScheduleTick" ("scheduleId", "dueAt", "lastDueAt", "count", "outcome", "jobRunId", "failure", "accountedAt")
     VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT ("scheduleId", "dueAt") DO NOTHING`,
    tick.scheduleId,
    toDbTime(tick.dueAt),
    toDbTime(tick.lastDueAt),
    tick.count,
    tick.outcome,
    tick.jobId ?? null,
    tick.failure ? JSON.stringify(tick.failure) : null,
    toDbTime(now),
  );
}

/** True where an instant has a tick or a job: clocks that go back bring instants again. */
export async function isAccounted(sql: Sql, scheduleId: string, dueAt: Date): Promise<boolean> {
  const at = toDbTime(dueAt);
  const text = `SELECT 1 FROM "ScheduleTick" WHERE "scheduleId" = ? AND "dueAt" = ?
    UNION ALL SELECT 1 FROM "JobRun" WHERE "scheduleId" = ? AND "scheduledFor" = ? LIMIT 1`;
  return (await sql.get(text, scheduleId, at, scheduleId, at)) !== undefined;
}

/** The last instant that is accounted for. */
export async function lastAccountedAt(sql: Sql, scheduleId: string): Promise<Date | null> {
  const text = `SELECT "lastDueAt" FROM "ScheduleTick" WHERE "scheduleId" = ? ORDER BY "dueAt" DESC LIMIT 1`;
  return fromDbTime((await sql.get<{ lastDueAt: string }>(text, scheduleId))?.lastDueAt ?? null);
}

/** Forgets what was noted before a moment, about instants before it. */
export async function trimTicks({ sql }: Tx, scheduleId: string, before: Date): Promise<void> {
  const text = `DELETE FROM "ScheduleTick" WHERE "scheduleId" = ? AND "dueAt" < ? AND "accountedAt" < ?`;
  await sql.run(text, scheduleId, toDbTime(before), toDbTime(before));
}

/** How many of a schedule's newest jobs are looked at for one that has not ended: they end in about the order in which they began. */
const LIVE_AMONG = 200;

/** True while a job of the schedule waits or runs. */
export async function hasLiveJob(sql: Sql, scheduleId: string): Promise<boolean> {
  const newest = `SELECT "status" FROM "JobRun" WHERE "scheduleId" = ? ORDER BY "id" DESC LIMIT ${LIVE_AMONG}`;
  const text = `SELECT 1 FROM (${newest}) AS "newest" WHERE "status" IN ('QUEUED', 'RUNNING') LIMIT 1`;
  return (await sql.get(text, scheduleId)) !== undefined;
}

/** Stores a schedule and wakes the engine. */
export async function insertSchedule(
  tx: Tx,
  schedule: ScheduleValues & Pick<ScheduleRow, "id" | "projectId" | "workflowId" | "createdBy">,
  now: Date,
): Promise<void> {
  const { intervalMs, ...values } = schedule;
  const data = { ...values, intervalMs: intervalMs === null ? null : BigInt(intervalMs) };
  await tx.models.schedule.create({ data: { ...data, createdAt: now, updatedAt: now } });
  tx.ring("engine");
}

/** Changes a schedule, if nobody has since. False: it was changed, or ticked, meanwhile. */
export async function updateSchedule(
  tx: Tx,
  seen: Pick<ScheduleRow, "id" | "nextRunAt" | "revision">,
  { intervalMs, ...values }: ScheduleValues,
  now: Date,
): Promise<boolean> {
  const { id, nextRunAt, revision } = seen;
  const { count } = await tx.models.schedule.updateMany({
    where: { id, revision, nextRunAt, deletedAt: null },
    data: {
      ...values,
      intervalMs: intervalMs === null ? null : BigInt(intervalMs),
      revision: revision + 1,
      updatedAt: now,
    },
  });
  tx.ring("engine");
  return count === 1;
}

/** Disables a schedule that nothing can be made of. */
export async function disableSchedule(tx: Tx, { id, revision }: Pick<ScheduleRow, "id" | "revision">, now: Date) {
  const text = `UPDATE "Schedule" SET "enabled" = 0, "nextRunAt" = NULL, "revision" = "revision" + 1, "updatedAt" = ?
    WHERE "id" = ? AND "revision" = ? AND "enabled" = 1`;
  return (await tx.sql.run(text, toDbTime(now), id, revision)) === 1;
}

/** Deletes a schedule with its ticks; its jobs keep its id. False: it was gone, or has changed. */
export async function deleteSchedule(tx: Tx, { id, revision }: Pick<ScheduleRow, "id" | "revision">, now: Date) {
  const text = `UPDATE "Schedule" SET "enabled" = 0, "nextRunAt" = NULL, "revision" = "revision" + 1, "deletedAt" = ?
    WHERE "id" = ? AND "revision" = ? AND "deletedAt" IS NULL`;
  if ((await tx.sql.run(text, toDbTime(now), id, revision)) === 0) return false;
  await tx.sql.run(`DELETE FROM "ScheduleTick" WHERE "scheduleId" = ?`, id);
  return true;
}
