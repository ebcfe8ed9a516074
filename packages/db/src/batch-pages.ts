import { setImmediate as nextTurn } from "node:timers/promises";
import type { BatchCounts, BatchStatus, JobRunStatus } from "@maia/domain";
import { countBatch } from "./batch-facts.js";
import { HIDDEN_TEXT, type Page, type PageRequest, type Scope, toPage } from "./pages.js";
import { fromDbTime } from "./time.js";
import type { Db, Sql } from "./types.js";
import { alongProjects, inProjects, type Walk, walkIds } from "./walk.js";

/** A batch as readers see it, with the names of what it refers to. JSON stays text. */
export interface BatchView {
  readonly id: string;
  readonly projectId: string;
  readonly project: string;
  readonly workflow: string;
  readonly workflowId: string;
  readonly version: number;
  readonly environment: string;
  readonly environmentId: string;
  readonly runnerId: string | null;
  readonly runnerName: string | null;
  readonly originBatchId: string | null;
  readonly status: BatchStatus;
  readonly priority: number;
  readonly labels: string;
  readonly itemsSha256: string;
  readonly itemCount: number;
  readonly opened: number;
  readonly columns: string | null;
  readonly concurrency: number;
  readonly maxFailures: number | null;
  readonly failure: string | null;
  readonly cancelRequestedAt: Date | null;
  readonly createdAt: Date;
  readonly finishedAt: Date | null;
  readonly counts: BatchCounts;
}

type Head = Omit<BatchView, "counts"> & { readonly counts: string | null };
type HeadRow = { readonly [K in keyof Head]: K extends `${string}At` ? string | null : Head[K] } & {
  createdAt: string;
};

const SELECT = `SELECT b."id", b."projectId", p."name" AS "project", w."slug" AS "workflow", b."workflowId", v."version",
  e."name" AS "environment", b."environmentId", b."runnerId", n."name" AS "runnerName", b."originBatchId", b."status", b."priority",
  b."labels", b."itemsSha256", b."itemCount", b."cursor" AS "opened", b."columns", b."concurrency", b."maxFailures", b."failure", b."counts",
  b."cancelRequestedAt", b."createdAt", b."finishedAt"
  FROM "Batch" b JOIN "Project" p ON p."id" = b."projectId" JOIN "Workflow" w ON w."id" = b."workflowId"
  JOIN "WorkflowVersion" v ON v."id" = b."workflowVersionId" JOIN "Environment" e ON e."id" = b."environmentId"
  LEFT JOIN "Runner" n ON n."id" = b."runnerId"`;

/** A batch, where its project exists for the reader. */
export async function findBatchView(sql: Sql, scope: Scope, id: string): Promise<BatchView | null> {
  const row = await sql.get<HeadRow>(`${SELECT} WHERE b."id" = ${HIDDEN_TEXT}`, id);
  return row && (scope === null || scope.includes(row.projectId)) ? toView(sql, row) : null;
}

/** What a list of batches may be narrowed by. */
export interface BatchFilter {
  /** One project in place of the whole scope. */
  readonly projectId?: string | undefined;
  readonly status?: BatchStatus | undefined;
  readonly workflowId?: string | undefined;
}

/** Batches, newest first. */
export async function listBatches(
  { sql }: Db,
  scope: Scope,
  { projectId, status, workflowId }: BatchFilter,
  page: PageRequest,
): Promise<Page<BatchView>> {
  const projects = projectId === undefined ? scope : [projectId];
  const ofStatus = status === undefined ? [] : [{ text: `"status" = ?`, values: [status] }];
  const walk: Walk =
    workflowId === undefined
      ? { table: "Batch", along: alongProjects(projects), where: ofStatus }
      : { table: "Batch", along: [{ workflowId }], where: [...ofStatus, ...inProjects(projects)] };
  const ids = await walkIds(sql, walk, page);
  const places = ids.map(() => "?").join(", ");
  const rows = await sql.all<HeadRow>(`${SELECT} WHERE b."id" IN (${places}) ORDER BY b."id" DESC`, ...ids);
  const cut = toPage(
    rows,
    page,
    (row) => row.id,
    (row) => row,
  );
  const items: BatchView[] = [];
  for (const row of cut.items) {
    items.push(await toView(sql, row));
    await nextTurn(); // counting a long batch takes some milliseconds
  }
  return { items, nextCursor: cut.nextCursor };
}

async function toView(sql: Sql, row: HeadRow): Promise<BatchView> {
  const { cancelRequestedAt, createdAt, finishedAt, counts, ...rest } = row;
  return {
    ...rest,
    cancelRequestedAt: fromDbTime(cancelRequestedAt),
    createdAt: fromDbTime(createdAt),
    finishedAt: fromDbTime(finishedAt),
    counts: counts === null ? await countBatch(sql, row.id) : JSON.parse(counts),
  };
}

/** How a row of a batch went. JSON and times stay text. */
export interface BatchJob {
  readonly itemIndex: number;
  readonly id: string;
  readonly runId: string | null;
  readonly status: JobRunStatus;
  readonly failure: string | null;
  readonly outputs: string | null;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
}

/** The jobs of a batch from an item on, in the order of the items. */
export function batchJobs(sql: Sql, batchId: string, from: number, limit: number): Promise<BatchJob[]> {
  return sql.all<BatchJob>(
    `SELECT j."itemIndex", j."id", r."id" AS "runId", j."status", j."failure", r."outputs", j."startedAt", j."finishedAt"
     FROM "JobRun" j LEFT JOIN "Run" r ON r."jobRunId" = j."id"
     WHERE j."batchId" = ${HIDDEN_TEXT} AND j."itemIndex" >= ? ORDER BY j."itemIndex" LIMIT ?`,
    batchId,
    from,
    limit,
  );
}

/** How the items of a batch stand, from one on, in their order. Items that are not open have no status. */
export async function itemStatuses(
  sql: Sql,
  batchId: string,
  from: number,
  limit: number,
): Promise<Map<number, JobRunStatus>> {
  const rows = await sql.all<{ itemIndex: number; status: JobRunStatus }>(
    `SELECT "itemIndex", "status" FROM "JobRun" WHERE "batchId" = ? AND "itemIndex" >= ? AND "itemIndex" < ?`,
    batchId,
    from,
    from + limit,
  );
  return new Map(rows.map(({ itemIndex, status }) => [itemIndex, status]));
}
