import type { RunStatus } from "@maia/domain";
import { type Page, type PageRequest, type Scope, toPage } from "./pages.js";
import { findStoredAfar } from "./stored-afar.js";
import { withMoments } from "./time.js";
import type { Db, Models, Sql } from "./types.js";
import {
  alongProjects,
  alongWorkflows,
  inProjects,
  type MadeBetween,
  runStatuses,
  type Walk,
  walkIds,
} from "./walk.js";
import { namedWorkflows } from "./workflow-names.js";

/** A run in a list. JSON stays text. */
export interface RunView {
  readonly id: string;
  readonly jobId: string;
  readonly projectId: string;
  readonly project: string;
  readonly workflow: string;
  readonly workflowId: string;
  readonly version: number;
  readonly snapHash: string;
  readonly status: RunStatus;
  readonly failure: string | null;
  readonly engineId: string;
  readonly cancelRequestedAt: Date | null;
  readonly cancelReason: string | null;
  readonly createdAt: Date;
  readonly startedAt: Date | null;
  readonly finishedAt: Date | null;
}

type RunRow = { readonly [K in keyof RunView]: K extends `${string}At` ? string | null : RunView[K] } & {
  createdAt: string;
};

export interface RunFilter {
  readonly projectId?: string | undefined;
  readonly status?: RunStatus | undefined;
  readonly workflowId?: string | undefined;
  /** A part of the workflow's name. */
  readonly q?: string | undefined;
  readonly made?: MadeBetween | undefined;
}

/** Runs, newest first unless the page is asked for the other way around. */
export async function listRuns(
  { sql }: Db,
  scope: Scope,
  filter: RunFilter,
  page: PageRequest,
): Promise<Page<RunView>> {
  const ids = await walkIds(sql, await walkOf(sql, scope, filter), page);
  if (ids.length === 0) return { items: [], nextCursor: null };
  const rows = await sql.all<RunRow>(
    `SELECT r."id", r."jobRunId" AS "jobId", r."projectId", p."name" AS "project", w."slug" AS "workflow", r."workflowId",
       v."version", v."snapHash", r."status", r."failure", r."ownerId" AS "engineId", r."cancelRequestedAt", r."cancelReason", r."createdAt",
       r."startedAt", r."finishedAt"
     FROM "Run" r JOIN "Project" p ON p."id" = r."projectId" JOIN "Workflow" w ON w."id" = r."workflowId"
     JOIN "WorkflowVersion" v ON v."id" = r."workflowVersionId"
     WHERE r."id" IN (${ids.map(() => "?").join(", ")}) ORDER BY r."id" ${page.order ?? "desc"}`,
    ...ids,
  );
  return toPage(rows, page, (row) => row.id, withMoments);
}

/** Along the narrowest thing that is asked for and has an index. */
async function walkOf(sql: Sql, scope: Scope, filter: RunFilter): Promise<Walk> {
  const { projectId, status, workflowId, q, made } = filter;
  const projects = projectId === undefined ? scope : [projectId];
  const walk = { table: "Run", made } as const;
  const named = q === undefined ? null : await namedWorkflows(sql, projects, q);
  const workflows = workflowId === undefined ? named?.ids : [workflowId];
  const isNamed = named === null ? [] : [named.condition];
  if (workflows) {
    const along = alongWorkflows(workflows, status === undefined ? runStatuses : [status]);
    return { ...walk, along, where: [...inProjects(projects), ...(workflowId === undefined ? [] : isNamed)] };
  }
  if (status !== undefined) return { ...walk, along: [{ status }], where: [...inProjects(projects), ...isNamed] };
  return { ...walk, along: alongProjects(projects), where: isNamed };
}

/** A run with all that its page shows, where its project exists for the reader. */
export async function findRunDetail(db: Db, scope: Scope, id: string) {
  return readDetail(db, scope, id);
}

export type RunDetail = NonNullable<Awaited<ReturnType<typeof findRunDetail>>>;

async function readDetail({ models, sql }: Db, scope: Scope, id: string) {
  const run = await readRun(models, scope, id);
  if (!run) return null;
  const ofFiles = run.job.dataResidency === "runner" ? run.job.files.map((file) => file.id) : [];
  const filesAfar = await findStoredAfar(sql, ofFiles);
  // In questions of their own: one that names every step has more parameters than a database takes.
  const steps = await models.runStep.findMany({ where: { runId: id }, orderBy: { position: "asc" } });
  const attempts = await models.attempt.findMany({
    where: { runId: id },
    orderBy: { no: "asc" },
    omit: { token: true, output: true, ledgerId: true },
  });
  const byStep = Map.groupBy(attempts, ({ stepKey }) => stepKey);
  const reused = await reusedAttempts(sql, id);
  const whole = steps.map((step) => {
    return { ...step, attempts: byStep.get(step.key) ?? [], reusedAttempt: reused.get(step.key) ?? null };
  });
  return { ...run, filesAfar, steps: whole };
}

/** The attempts of earlier runs whose results steps of a re-run have, by step key. */
async function reusedAttempts(sql: Sql, runId: string) {
  const rows = await sql.all<{ key: string; id: string; runId: string; no: number }>(
    `SELECT s."key", a."id", a."runId", a."no" FROM "RunStep" s JOIN "Attempt" a ON a."id" = s."reusedAttemptId" WHERE s."runId" = ?`,
    runId,
  );
  return new Map(rows.map(({ key, ...attempt }) => [key, attempt]));
}

function readRun(models: Models, scope: Scope, id: string) {
  return models.run.findFirst({
    where: { id, ...(scope === null ? {} : { projectId: { in: [...scope] } }) },
    include: {
      version: { select: { version: true, snapHash: true, workflowSnap: true } },
      job: {
        select: {
          trigger: true,
          originRunId: true,
          priority: true,
          labels: true,
          environmentId: true,
          dataResidency: true,
          project: { select: { name: true } },
          workflow: { select: { slug: true } },
          environment: { select: { name: true } },
          files: { orderBy: { position: "asc" } },
        },
      },
    },
  });
}

/** What is needed to know whether a run may be followed, and whether it has ended. */
export interface RunHead {
  readonly id: string;
  readonly jobId: string;
  readonly projectId: string;
  readonly status: RunStatus;
}

/** A run's status, where its project exists for the reader. */
export async function findRunHead(db: Db, scope: Scope, id: string): Promise<RunHead | null> {
  const text = `SELECT "id", "jobRunId" AS "jobId", "projectId", "status" FROM "Run" WHERE "id" = ?`;
  const row = await db.sql.get<RunHead>(text, id);
  return row && (scope === null || scope.includes(row.projectId)) ? row : null;
}
