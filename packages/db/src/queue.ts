import type { DataResidency } from "@maia/domain";
import type { Sql } from "./types.js";

/** A job that waits for an engine. */
export interface QueuedJob {
  readonly id: string;
  readonly projectId: string;
  readonly workflowId: string;
  readonly workflowVersionId: string;
  readonly runnerId: string;
  readonly dataResidency: DataResidency;
  readonly inputJson: string;
  /** The run that this one does again, and what of it, as JSON text. */
  readonly originRunId: string | null;
  readonly rerun: string | null;
}

/** Jobs that may not wait for ever, those with the earliest deadline first. */
export async function queueDeadlines(
  sql: Sql,
  limit: number,
): Promise<{ id: string; projectId: string; queueDeadline: string }[]> {
  return sql.all(
    `SELECT "id", "projectId", "queueDeadline" FROM "JobRun"
     WHERE "status" = 'QUEUED' AND "queueDeadline" IS NOT NULL ORDER BY "queueDeadline" LIMIT ?`,
    limit,
  );
}

interface Waiting {
  readonly sql: Sql;
  readonly runnerId: string;
  readonly priority: number;
}

/** Rows of a batch that is held wait with it. */
const IS_NOT_HELD = `("batchId" IS NULL OR "batchId" NOT IN (SELECT "id" FROM "Batch" WHERE "status" = 'PAUSED'))`;

/**
 * The jobs of a runner that are next: the highest priority first; within one, the workflows by turns, so that a backlog of one delays
 * no other; within a workflow the oldest. `after` is the workflow that had the last turn.
 */
export async function nextQueuedJobs(
  sql: Sql,
  runnerId: string,
  limit: number,
  after: string | null = null,
): Promise<QueuedJob[]> {
  const jobs: QueuedJob[] = [];
  for (let below: number | null = null; jobs.length < limit; ) {
    const level: { priority: number | null } | undefined = await sql.get(
      `SELECT max("priority") AS "priority" FROM "JobRun" WHERE "status" = 'QUEUED' AND "runnerId" = ? AND "priority" < ?`,
      runnerId,
      below ?? HIGHEST,
    );
    if (!level || level.priority === null) break;
    below = level.priority;
    jobs.push(...(await jobsByTurns({ sql, runnerId, priority: level.priority }, limit - jobs.length, after)));
  }
  return jobs;
}

/** Above every priority that a job can have. */
const HIGHEST = 2 ** 31;

async function jobsByTurns(waiting: Waiting, limit: number, after: string | null): Promise<QueuedJob[]> {
  const workflows = await workflowsFrom(waiting, after, limit);
  const [first] = workflows;
  if (workflows.length === 1) return oldest(waiting, first!, limit, null);
  const taken = new Map<string, QueuedJob[]>(workflows.map((id) => [id, []]));
  let room = limit;
  // Each round shares what room is left among those that still have jobs.
  for (let asking = workflows; room > 0 && asking.length > 0; ) {
    const share = Math.ceil(room / asking.length);
    const more: string[] = [];
    for (const id of asking) {
      const mine = taken.get(id)!;
      const found = await oldest(waiting, id, Math.min(share, room), mine.at(-1)?.id ?? null);
      mine.push(...found);
      room -= found.length;
      if (found.length === share) more.push(id);
    }
    asking = more;
  }
  return byTurns([...taken.values()]);
}

/** The workflows with jobs at a level, beginning after the one that had the last turn. */
async function workflowsFrom(waiting: Waiting, after: string | null, most: number): Promise<string[]> {
  const later = await workflowsAfter(waiting, after ?? "", most);
  if (after === null || later.length >= most) return later;
  const all = await workflowsAfter(waiting, "", most - later.length);
  return [...later, ...all.filter((id) => id <= after)];
}

/** Jumps from one workflow to the next along the index, and so never looks at a backlog. */
async function workflowsAfter({ sql, runnerId, priority }: Waiting, after: string, most: number): Promise<string[]> {
  const rows = await sql.all<{ id: string }>(
    `WITH RECURSIVE "w"("id") AS (
       SELECT min("workflowId") FROM "JobRun" WHERE "status" = 'QUEUED' AND "runnerId" = ? AND "priority" = ? AND "workflowId" > ?
       UNION ALL
       SELECT (SELECT min("workflowId") FROM "JobRun" WHERE "status" = 'QUEUED' AND "runnerId" = ? AND "priority" = ? AND "workflowId" > "w"."id")
       FROM "w" WHERE "w"."id" IS NOT NULL
     ) SELECT "id" FROM "w" WHERE "id" IS NOT NULL LIMIT ?`,
    runnerId,
    priority,
    after,
    runnerId,
    priority,
    most,
  );
  return rows.map(({ id }) => id);
}

async function oldest(
  { sql, runnerId, priority }: Waiting,
  workflowId: string,
  limit: number,
  after: string | null,
): Promise<QueuedJob[]> {
  return sql.all(
    `SELECT "id", "projectId", "workflowId", "workflowVersionId", "runnerId", "dataResidency", "inputJson", "originRunId", "rerun" FROM "JobRun"
     WHERE "status" = 'QUEUED' AND "runnerId" = ? AND "priority" = ? AND "workflowId" = ? AND "id" > ? AND ${IS_NOT_HELD}
     ORDER BY "id" LIMIT ?`,
    runnerId,
    priority,
    workflowId,
    after ?? "",
    limit,
  );
}

/** The first of each, then the second of each, and so on. */
function byTurns<T>(lists: readonly (readonly T[])[]): T[] {
  const longest = Math.max(0, ...lists.map((list) => list.length));
  return Array.from({ length: longest }, (_, turn) => lists.flatMap((list) => list.slice(turn, turn + 1))).flat();
}
