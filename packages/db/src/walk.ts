import { setImmediate as nextTurn } from "node:timers/promises";
import { firstIdAt, type JobRunStatus, type RunStatus } from "@maia/domain";
import { fromCursor, isIdOf, type PageOrder, type PageRequest, type Scope } from "./pages.js";
import type { Sql, SqlValue } from "./types.js";

/** How a list goes through a table whose ids are made in the order of time, newest first. */
export interface Walk {
  readonly table: "JobRun" | "Run" | "Batch";
  /**
   * Columns with the values that they must have, each set served by an index that ends in the id. Several sets are
   * walked side by side and merged; an empty one is the whole table.
   */
  readonly along: readonly Equalities[];
  /** What else a row must meet. No index knows; each row is looked at. */
  readonly where: readonly Condition[];
  /** Only what was made in this time. */
  readonly made?: MadeBetween | undefined;
}

/** From a moment on, and before another one. */
export interface MadeBetween {
  readonly from?: Date | undefined;
  readonly before?: Date | undefined;
}

export type Equalities = { readonly [column: string]: SqlValue };

/** A piece of SQL and its values. */
export interface Condition {
  readonly text: string;
  readonly values: readonly SqlValue[];
}

/** Along each of the projects, or along the whole table. */
export function alongProjects(projects: Scope): Equalities[] {
  return projects === null ? [{}] : projects.map((projectId) => ({ projectId }));
}

/** That a row is of one of the projects. */
export function inProjects(projects: Scope): Condition[] {
  if (projects === null) return [];
  const places = projects.map(() => "?").join(", ");
  return [
    projects.length === 0 ? { text: "1 = 0", values: [] } : { text: `"projectId" IN (${places})`, values: projects },
  ];
}

/** Every status that a job, or a run, can have: side by side they are all jobs, or all runs. */
export const jobStatuses = ["QUEUED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELED"] as const satisfies JobRunStatus[];
export const runStatuses = [
  "PENDING_INPUTS",
  "RUNNING",
  "SUCCEEDED",
  "FAILED",
  "CANCELED",
] as const satisfies RunStatus[];

/** Along workflows, of one status or of all: the index by workflow is sorted by status first. */
export function alongWorkflows(ids: readonly string[], statuses: readonly string[]): Equalities[] {
  return ids.flatMap((workflowId) => statuses.map((status) => ({ workflowId, status })));
}

/** How many rows are looked at before others get their turn: some milliseconds. The first look is a short one. */
const FIRST_LOOK = 500;
const LOOK = 5_000;

const kinds = {
  JobRun: { prefix: "job", kind: "job" },
  Run: { prefix: "run", kind: "run" },
  Batch: { prefix: "bat", kind: "batch" },
} as const;

/** Which ids are still to be looked at: between two, neither of which is meant itself. */
interface Span {
  readonly above: string | null;
  readonly below: string | null;
}

/**
 * The ids of a page and one more, newest first unless the page is asked for the other way around. What it costs follows
 * from how many rows are passed on the way, not from the size of the table, and however many they are, the event loop
 * stays free.
 */
export async function walkIds(sql: Sql, walk: Walk, page: PageRequest): Promise<string[]> {
  const wanted = page.limit + 1;
  const order = page.order ?? "desc";
  const start = spanOf(walk, page);
  if (walk.along.length === 0) return [];
  if (walk.where.length === 0) return ids(sql, stretch(walk, start, order, wanted));
  const found: string[] = [];
  for (let span = start, look = FIRST_LOOK; ; look = LOOK) {
    const window = stretch(walk, span, order, look);
    found.push(...(await ids(sql, within(walk, window, order, wanted - found.length))));
    const { last, count } = await endOf(sql, window, order);
    if (found.length >= wanted || count < look) return found;
    span = order === "desc" ? { ...span, below: last } : { ...span, above: last };
    await nextTurn();
  }
}

/** Ids are made in the order of time, and so a time is a place among them. */
function spanOf({ table, made = {} }: Walk, { cursor, order }: PageRequest): Span {
  const { prefix, kind } = kinds[table];
  const above = made.from ? firstIdAt(kind, made.from) : null;
  const below = made.before ? firstIdAt(kind, made.before) : null;
  if (cursor === null) return { above, below };
  const at = fromCursor(cursor, isIdOf(prefix));
  return order === "asc" ? { above: at, below } : { above, below: at };
}

async function ids(sql: Sql, { text, values }: Condition): Promise<string[]> {
  return (await sql.all<{ id: string }>(text, ...values)).map(({ id }) => id);
}

/** The next ids along the way. */
function stretch({ table, along }: Walk, { above, below }: Span, order: PageOrder, limit: number): Condition {
  const ends = [
    above === null ? [] : [{ text: `"id" > ?`, value: above }],
    below === null ? [] : [{ text: `"id" < ?`, value: below }],
  ].flat();
  const branches = along.map((equalities) => {
    const all = [...Object.keys(equalities).map((column) => `"${column}" = ?`), ...ends.map(({ text }) => text)];
    const where = all.length > 0 ? `WHERE ${all.join(" AND ")}` : "";
    const values = [...Object.values(equalities), ...ends.map(({ value }) => value), limit];
    return { text: `SELECT "id" FROM "${table}" ${where} ORDER BY "id" ${order} LIMIT ?`, values };
  });
  if (branches.length === 1) return branches[0]!;
  const united = branches.map(({ text }, index) => `SELECT "id" FROM (${text}) AS "b${index}"`).join(" UNION ALL ");
  const values = branches.flatMap((branch) => branch.values);
  return { text: `SELECT "id" FROM (${united}) AS "all" ORDER BY "id" ${order} LIMIT ?`, values: [...values, limit] };
}

/** Those of a stretch that meet the conditions. The stretch leads: the planner is not to turn the join around. */
function within({ table, where }: Walk, window: Condition, order: PageOrder, limit: number): Condition {
  const conditions = where.map(({ text }) => `AND (${text})`).join(" ");
  return {
    text: `SELECT "w"."id" FROM (${window.text}) AS "w" CROSS JOIN "${table}" AS "t"
      WHERE "t"."id" = "w"."id" ${conditions} ORDER BY "w"."id" ${order} LIMIT ?`,
    values: [...window.values, ...where.flatMap(({ values }) => values), limit],
  };
}

/** Where a stretch ends, and how long it is. */
async function endOf(
  sql: Sql,
  { text, values }: Condition,
  order: PageOrder,
): Promise<{ last: string | null; count: number }> {
  const query = `SELECT ${order === "desc" ? "min" : "max"}("id") AS "last", count(*) AS "count" FROM (${text}) AS "w"`;
  return (await sql.get(query, ...values)) ?? { last: null, count: 0 };
}
