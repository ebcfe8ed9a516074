import { isRunOver, type RunStatus } from "@maia/domain";
import { fromDbTime } from "./time.js";
import type { Sql } from "./types.js";
import { runStatuses } from "./walk.js";

/** How many of the runs that ended last count for the rate of success. */
const RECENT_RUNS = 20;
/** More jobs than this are not counted. */
export const COUNTED_MAX = 10_000;

export interface LastRun {
  readonly id: string;
  readonly jobId: string;
  readonly status: RunStatus;
  readonly createdAt: Date;
  readonly finishedAt: Date | null;
}

/** What goes on with a workflow, and how its runs ended of late. */
export interface WorkflowActivity {
  readonly lastRun: LastRun | null;
  /** Jobs, counted up to `COUNTED_MAX`. */
  readonly queued: number;
  readonly running: number;
  /** Of the runs that were begun last, at most 20, and have ended. */
  readonly recent: { readonly succeeded: number; readonly failed: number; readonly canceled: number };
}

/** The activity of some workflows. Each costs a few looks into an index, however many runs it has had. */
export async function workflowActivity(
  sql: Sql,
  workflowIds: readonly string[],
): Promise<ReadonlyMap<string, WorkflowActivity>> {
  const heads = new Map<string, RunHeadRow[]>();
  for (const id of workflowIds) heads.set(id, await newestRuns(sql, id));
  const last = await lastRuns(
    sql,
    [...heads.values()].flatMap((runs) => runs.slice(0, 1).map(({ id }) => id)),
  );
  const found = new Map<string, WorkflowActivity>();
  for (const [workflowId, runs] of heads) {
    const ended = runs.filter(({ status }) => isRunOver(status)).slice(0, RECENT_RUNS);
    const count = (status: RunStatus) => ended.filter((run) => run.status === status).length;
    found.set(workflowId, {
      lastRun: last.get(runs[0]?.id ?? "") ?? null,
      queued: await countJobs(sql, workflowId, "QUEUED"),
      running: await countJobs(sql, workflowId, "RUNNING"),
      recent: { succeeded: count("SUCCEEDED"), failed: count("FAILED"), canceled: count("CANCELED") },
    });
  }
  return found;
}

interface RunHeadRow {
  readonly id: string;
  readonly status: RunStatus;
}

/** The newest runs of each status, newest first. */
function newestRuns(sql: Sql, workflowId: string): Promise<RunHeadRow[]> {
  const one = `SELECT * FROM (SELECT "id", "status" FROM "Run" WHERE "workflowId" = ? AND "status" = ? ORDER BY "id" DESC LIMIT ?) AS "one"`;
  const text = `SELECT "id", "status" FROM (${runStatuses.map(() => one).join(" UNION ALL ")}) AS "all" ORDER BY "id" DESC`;
  return sql.all(text, ...runStatuses.flatMap((status) => [workflowId, status, RECENT_RUNS]));
}

type LastRunRow = { readonly [K in keyof LastRun]: K extends `${string}At` ? string : LastRun[K] } & {
  readonly finishedAt: string | null;
};

async function lastRuns(sql: Sql, ids: readonly string[]): Promise<Map<string, LastRun>> {
  const rows = await sql.all<LastRunRow>(
    `SELECT "id", "jobRunId" AS "jobId", "status", "createdAt", "finishedAt" FROM "Run" WHERE "id" IN (${ids.map(() => "?").join(", ")})`,
    ...ids,
  );
  const asSeen = (row: LastRunRow): LastRun => ({
    ...row,
    createdAt: fromDbTime(row.createdAt),
    finishedAt: fromDbTime(row.finishedAt),
  });
  return new Map(rows.map((row) => [row.id, asSeen(row)]));
}

async function countJobs(sql: Sql, workflowId: string, status: "QUEUED" | "RUNNING"): Promise<number> {
  const some = `SELECT 1 AS "one" FROM "JobRun" WHERE "workflowId" = ? AND "status" = ? LIMIT ?`;
  const text = `SELECT count(*) AS "count" FROM (${some}) AS "some"`;
  return (await sql.get<{ count: number }>(text, workflowId, status, COUNTED_MAX))?.count ?? 0;
}
