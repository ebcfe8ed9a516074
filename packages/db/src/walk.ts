import { setImmediate as nextTurn } from "node:timers/promises";
import { fromCursor, isIdOf, type PageRequest, type Scope } from "./pages.js";
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

/** How many rows are looked at before others get their turn: some milliseconds. The first look is a short one. */
const FIRST_LOOK = 500;
const LOOK = 5_000;

const prefixes = { JobRun: "job", Run: "run", Batch: "bat" } as const;

/**
 * The ids of a page and one more, newest first. What it costs follows from how many rows are passed on the way, not
 * from the size of the table, and however many they are, the event loop stays free.
 */
export async function walkIds(sql: Sql, walk: Walk, page: PageRequest): Promise<string[]> {
  const wanted = page.limit + 1;
  const start = page.cursor === null ? null : fromCursor(page.cursor, isIdOf(prefixes[walk.table]));
  if (walk.along.length === 0) return [];
  if (walk.where.length === 0) return ids(sql, stretch(walk, start, wanted));
  const found: string[] = [];
  for (let before = start, look = FIRST_LOOK; ; look = LOOK) {
    const window = stretch(walk, before, look);
    found.push(...(await ids(sql, within(walk, window, wanted - found.length))));
    const end = await endOf(sql, window);
    if (found.length >= wanted || end.count < look) return found;
    before = end.last;
    await nextTurn();
  }
}

async function ids(sql: Sql, { text, values }: Condition): Promise<string[]> {
  return (await sql.all<{ id: string }>(text, ...values)).map(({ id }) => id);
}

/** The newest ids along the way, before an id. */
function stretch({ table, along }: Walk, before: string | null, limit: number): Condition {
  const branches = along.map((equalities) => {
    const columns = Object.keys(equalities).map((column) => `"${column}" = ?`);
    const all = before === null ? columns : [...columns, `"id" < ?`];
    const where = all.length > 0 ? `WHERE ${all.join(" AND ")}` : "";
    const values = [...Object.values(equalities), ...(before === null ? [] : [before]), limit];
    return { text: `SELECT "id" FROM "${table}" ${where} ORDER BY "id" DESC LIMIT ?`, values };
  });
  if (branches.length === 1) return branches[0]!;
  const united = branches.map(({ text }, index) => `SELECT "id" FROM (${text}) AS "b${index}"`).join(" UNION ALL ");
  const values = branches.flatMap((branch) => branch.values);
  return { text: `SELECT "id" FROM (${united}) AS "all" ORDER BY "id" DESC LIMIT ?`, values: [...values, limit] };
}

/** Those of a stretch that meet the conditions. The stretch leads: the planner is not to turn the join around. */
function within({ table, where }: Walk, window: Condition, limit: number): Condition {
  const conditions = where.map(({ text }) => `AND (${text})`).join(" ");
  return {
    text: `SELECT "w"."id" FROM (${window.text}) AS "w" CROSS JOIN "${table}" AS "t"
      WHERE "t"."id" = "w"."id" ${conditions} ORDER BY "w"."id" DESC LIMIT ?`,
    values: [...window.values, ...where.flatMap(({ values }) => values), limit],
  };
}

/** Where a stretch ends, and how long it is. */
async function endOf(sql: Sql, { text, values }: Condition): Promise<{ last: string | null; count: number }> {
  const query = `SELECT min("id") AS "last", count(*) AS "count" FROM (${text}) AS "w"`;
  return (await sql.get(query, ...values)) ?? { last: null, count: 0 };
}
