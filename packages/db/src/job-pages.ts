import type { JobRunStatus, Trigger } from "@maia/domain";
import { HIDDEN_TEXT, type Page, type PageRequest, type Scope, toPage } from "./pages.js";
import { withMoments } from "./time.js";
import type { Db, Sql } from "./types.js";
import {
  alongProjects,
  alongWorkflows,
  type Condition,
  inProjects,
  jobStatuses,
  type MadeBetween,
  type Walk,
  walkIds,
} from "./walk.js";
import { namedWorkflows } from "./workflow-names.js";

/** A job as readers see it, with the names of what it refers to. JSON stays text. */
export interface JobView {
  readonly id: string;
  readonly projectId: string;
  readonly project: string;
  readonly workflow: string;
  readonly workflowId: string;
  readonly version: number;
  readonly status: JobRunStatus;
  readonly runId: string | null;
  readonly params: string;
  readonly priority: number;
  readonly labels: string;
  readonly trigger: Trigger;
  readonly scheduleId: string | null;
  readonly batchId: string | null;
  readonly itemIndex: number | null;
  readonly originRunId: string | null;
  readonly rerun: string | null;
  readonly environment: string;
  readonly environmentId: string;
  readonly runnerId: string | null;
  readonly runnerName: string | null;
  readonly failure: string | null;
  readonly cancelRequestedAt: Date | null;
  readonly cancelReason: string | null;
  readonly createdAt: Date;
  readonly startedAt: Date | null;
  readonly finishedAt: Date | null;
}

type JobRow = { readonly [K in keyof JobView]: K extends `${string}At` ? string | null : JobView[K] } & {
  createdAt: string;
};

const SELECT = `SELECT j."id", j."projectId", p."name" AS "project", w."slug" AS "workflow", j."workflowId", v."version", j."status",
  r."id" AS "runId", j."inputJson" AS "params", j."priority", j."labels", j."trigger", j."scheduleId", j."batchId", j."itemIndex",
  j."originRunId", j."rerun", e."name" AS "environment", j."environmentId", j."runnerId", n."name" AS "runnerName", j."failure",
  j."cancelRequestedAt", j."cancelReason", j."createdAt", j."startedAt", j."finishedAt"`;

const JOINS = `JOIN "Project" p ON p."id" = j."projectId" JOIN "Workflow" w ON w."id" = j."workflowId"
  JOIN "WorkflowVersion" v ON v."id" = j."workflowVersionId" JOIN "Environment" e ON e."id" = j."environmentId"
  LEFT JOIN "Runner" n ON n."id" = j."runnerId" LEFT JOIN "Run" r ON r."jobRunId" = j."id"`;

/** A job, where its project exists for the reader. */
export async function findJobView(sql: Sql, scope: Scope, id: string): Promise<JobView | null> {
  const row = await sql.get<JobRow>(`${SELECT} FROM "JobRun" j ${JOINS} WHERE j."id" = ${HIDDEN_TEXT}`, id);
  return row && (scope === null || scope.includes(row.projectId)) ? withMoments(row) : null;
}

/** What a list of jobs may be narrowed by. */
export interface JobFilter {
  /** One project in place of the whole scope. */
  readonly projectId?: string | undefined;
  readonly status?: JobRunStatus | undefined;
  readonly workflowId?: string | undefined;
  readonly scheduleId?: string | undefined;
  readonly batchId?: string | undefined;
  /** A part of the workflow's name. */
  readonly q?: string | undefined;
  readonly made?: MadeBetween | undefined;
  /** A label and its value; the value null is any. */
  readonly label?: { readonly name: string; readonly value: string | null } | undefined;
}

/** Jobs, newest first unless the page is asked for the other way around. */
export async function listJobs(
  { sql }: Db,
  scope: Scope,
  filter: JobFilter,
  page: PageRequest,
): Promise<Page<JobView>> {
  const projects = filter.projectId === undefined ? scope : [filter.projectId];
  const ids = await walkIds(sql, await walkOf(sql, projects, filter), page);
  if (ids.length === 0) return { items: [], nextCursor: null };
  const places = ids.map(() => "?").join(", ");
  const rows = await sql.all<JobRow>(
    `${SELECT} FROM "JobRun" j ${JOINS} WHERE j."id" IN (${places}) ORDER BY j."id" ${page.order ?? "desc"}`,
    ...ids,
  );
  return toPage(rows, page, (row) => row.id, withMoments);
}

/** The way that passes the fewest rows: along the narrowest thing that is asked for and has an index. */
async function walkOf(sql: Sql, projects: Scope, filter: JobFilter): Promise<Walk> {
  const { batchId, scheduleId, workflowId, status, label, q, made } = filter;
  const walk = { table: "JobRun", made } as const;
  const named = q === undefined ? null : await namedWorkflows(sql, projects, q);
  const free = [...(label ? [hasLabel(label.name, label.value)] : []), ...(named ? [named.condition] : [])];
  const where = [...free, ...inProjects(projects)];
  const is = (column: string, value: string | undefined) =>
    value === undefined ? [] : [{ text: `"${column}" = ?`, values: [value] }];
  const others = [...where, ...is("workflowId", workflowId), ...is("status", status)];
  if (batchId !== undefined)
    return { ...walk, along: [{ batchId }], where: [...others, ...is("scheduleId", scheduleId)] };
  if (scheduleId !== undefined) return { ...walk, along: [{ scheduleId }], where: others };
  const workflows = workflowId === undefined ? named?.ids : [workflowId];
  if (workflows)
    return { ...walk, along: alongWorkflows(workflows, status === undefined ? jobStatuses : [status]), where };
  if (status !== undefined) return { ...walk, along: [{ status }], where };
  return { ...walk, along: alongProjects(projects), where: free };
}

/** Labels are kept as JSON without white space, so that a label is a piece of their text. */
function hasLabel(name: string, value: string | null): Condition {
  const member = `${JSON.stringify(name)}:${value === null ? "" : JSON.stringify(value)}`;
  return { text: `replace("labels", ?, '') <> "labels"`, values: [member] };
}
