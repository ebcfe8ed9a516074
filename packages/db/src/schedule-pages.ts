import type { TickOutcome } from "@maia/domain";
import { fromCursor, HIDDEN_TEXT, isIdOf, type Page, type PageRequest, type Scope, toPage } from "./pages.js";
import { type RawSchedule, SCHEDULE_COLUMNS, type ScheduleRow, toSchedule } from "./schedules.js";
import { fromDbTime, toDbTime } from "./time.js";
import type { Sql, SqlValue } from "./types.js";

/** A schedule as readers see it, with the names of what it refers to. JSON stays text. */
export interface ScheduleView extends ScheduleRow {
  readonly project: string;
  readonly workflow: string;
  /** Null: the project's `default`. */
  readonly environment: string | null;
  readonly runnerName: string | null;
  /** What became of the newest instant that is accounted for. */
  readonly lastTick: { readonly dueAt: Date; readonly outcome: TickOutcome; readonly jobId: string | null } | null;
  readonly lastRunAt: Date | null;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

interface RawView extends RawSchedule {
  readonly project: string;
  readonly workflow: string;
  readonly environment: string | null;
  readonly runnerName: string | null;
  readonly tickDueAt: string | null;
  readonly tickOutcome: TickOutcome | null;
  readonly tickJobId: string | null;
  readonly lastRunAt: string | null;
  readonly createdAt: string;
  readonly updatedAt: string;
}

const SELECT = `SELECT ${SCHEDULE_COLUMNS}, s."lastRunAt", s."createdAt", s."updatedAt", p."name" AS "project", w."slug" AS "workflow",
    e."name" AS "environment", n."name" AS "runnerName", t."dueAt" AS "tickDueAt", t."outcome" AS "tickOutcome", t."jobRunId" AS "tickJobId"
  FROM "Schedule" s JOIN "Project" p ON p."id" = s."projectId" JOIN "Workflow" w ON w."id" = s."workflowId"
    LEFT JOIN "Environment" e ON e."id" = s."environmentId" LEFT JOIN "Runner" n ON n."id" = s."runnerId"
    LEFT JOIN "ScheduleTick" t ON t."scheduleId" = s."id"
      AND t."dueAt" = (SELECT MAX("dueAt") FROM "ScheduleTick" WHERE "scheduleId" = s."id")`;

/** A schedule that is not deleted, where its project exists for the reader. */
export async function findScheduleView(sql: Sql, scope: Scope, id: string): Promise<ScheduleView | null> {
  const row = await sql.get<RawView>(`${SELECT} WHERE s."id" = ${HIDDEN_TEXT} AND s."deletedAt" IS NULL`, id);
  return row && (scope === null || scope.includes(row.projectId)) ? toView(row) : null;
}

/** What a list of schedules may be narrowed by. */
export interface ScheduleFilter {
  readonly projectId?: string | undefined;
  readonly workflowId?: string | undefined;
  readonly enabled?: boolean | undefined;
}

/** Schedules that are not deleted, newest first. */
export async function listSchedules(
  sql: Sql,
  scope: Scope,
  { projectId, workflowId, enabled }: ScheduleFilter,
  page: PageRequest,
): Promise<Page<ScheduleView>> {
  const projects = projectId === undefined ? scope : [projectId];
  if (projects?.length === 0) return { items: [], nextCursor: null };
  const where: [text: string, values: readonly SqlValue[]][] = [[`s."deletedAt" IS NULL`, []]];
  if (projects) where.push([`s."projectId" IN (${projects.map(() => "?").join(", ")})`, projects]);
  if (workflowId !== undefined) where.push([`s."workflowId" = ?`, [workflowId]]);
  if (enabled !== undefined) where.push([`s."enabled" = ?`, [enabled ? 1 : 0]]);
  if (page.cursor !== null) where.push([`s."id" < ?`, [fromCursor(page.cursor, isIdOf("sch"))]]);
  const rows = await sql.all<RawView>(
    `${SELECT} WHERE ${where.map(([text]) => text).join(" AND ")} ORDER BY s."id" DESC LIMIT ?`,
    ...where.flatMap(([, values]) => values),
    page.limit + 1,
  );
  return toPage(rows, page, ({ id }) => id, toView);
}

function toView(row: RawView): ScheduleView {
  const { tickDueAt, tickOutcome, tickJobId, lastRunAt, createdAt, updatedAt, ...rest } = row;
  const lastTick = tickDueAt && tickOutcome && { dueAt: fromDbTime(tickDueAt), outcome: tickOutcome, jobId: tickJobId };
  return {
    ...toSchedule(rest),
    lastTick: lastTick || null,
    lastRunAt: fromDbTime(lastRunAt),
    createdAt: fromDbTime(createdAt),
    updatedAt: fromDbTime(updatedAt),
  };
}

/** What became of an instant, as readers see it. The failure stays text. */
export interface TickView {
  readonly dueAt: Date;
  readonly lastDueAt: Date;
  readonly count: number;
  readonly outcome: TickOutcome;
  readonly jobId: string | null;
  readonly failure: string | null;
  readonly accountedAt: Date;
}

type RawTick = { readonly [K in keyof TickView]: K extends `${string}At` ? string : TickView[K] };

/** What a cursor of ticks looks like: a moment, as milliseconds. */
const MOMENT = /^\d{1,15}$/;

/** What became of a schedule's instants, the newest first. */
export async function listTicks(
  sql: Sql,
  scheduleId: string,
  outcome: TickOutcome | undefined,
  page: PageRequest,
): Promise<Page<TickView>> {
  const before = page.cursor === null ? null : new Date(Number(fromCursor(page.cursor, MOMENT)));
  const rows = await sql.all<RawTick>(
    `SELECT "dueAt", "lastDueAt", "count", "outcome", "jobRunId" AS "jobId", "failure", "accountedAt" FROM "ScheduleTick"
     WHERE "scheduleId" = ? ${before ? `AND "dueAt" < ?` : ""} ${outcome ? `AND "outcome" = ?` : ""} ORDER BY "dueAt" DESC LIMIT ?`,
    scheduleId,
    ...(before ? [toDbTime(before)] : []),
    ...(outcome ? [outcome] : []),
    page.limit + 1,
  );
  return toPage(rows, page, ({ dueAt }) => fromDbTime(dueAt).getTime(), toTick);
}

function toTick({ dueAt, lastDueAt, accountedAt, ...rest }: RawTick): TickView {
  return {
    ...rest,
    dueAt: fromDbTime(dueAt),
    lastDueAt: fromDbTime(lastDueAt),
    accountedAt: fromDbTime(accountedAt),
  };
}
