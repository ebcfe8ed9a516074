import { fromCursor, type Page, type PageRequest, type Scope, toPage } from "./pages.js";
import { containing } from "./text-match.js";
import type { Db, SqlValue } from "./types.js";
import type { WorkflowView } from "./workflows.js";
import { viewsOf } from "./workflows.js";

/** What a list of workflows may be sorted by. */
export const workflowSorts = ["created", "updated", "name"] as const;

export type WorkflowSort = (typeof workflowSorts)[number];

/** What a list of workflows may be narrowed by. */
export interface WorkflowFilter {
  /** One project in place of the whole scope. */
  readonly projectId?: string | undefined;
  /** A part of the name or of the description, in any case. */
  readonly q?: string | undefined;
}

/** By what each sort goes, the id last; which way unless told; and what a cursor looks like that names both. */
const sorts = {
  created: { column: `"id"`, order: "desc", key: /^()(wf_[0-9a-z]{1,64})$/ },
  updated: { column: `"updatedAt"`, order: "desc", key: /^([0-9T:.+-]{29})\/(wf_[0-9a-z]{1,64})$/ },
  name: { column: `"slug"`, order: "asc", key: /^([a-z0-9-]{1,63})\/(wf_[0-9a-z]{1,64})$/ },
} as const satisfies Record<WorkflowSort, object>;

/** Workflows that are not deleted. There are few, as against their runs: what no index knows is looked at. */
export async function listWorkflows(
  db: Db,
  scope: Scope,
  { projectId, q }: WorkflowFilter,
  page: PageRequest,
  sort: WorkflowSort = "created",
): Promise<Page<WorkflowView>> {
  const projects = projectId === undefined ? scope : [projectId];
  const { column, key, order: usual } = sorts[sort];
  const order = page.order ?? usual;
  const isById = column === `"id"`;
  const where = [`"deletedAt" IS NULL`];
  const values: SqlValue[] = [];
  const add = (text: string, ...more: SqlValue[]) => {
    where.push(text);
    values.push(...more);
  };
  if (projects) add(projects.length === 0 ? "1 = 0" : `"projectId" IN (${projects.map(() => "?")})`, ...projects);
  if (q !== undefined)
    add(`(lower("slug") LIKE ? ESCAPE '\\' OR lower("description") LIKE ? ESCAPE '\\')`, containing(q), containing(q));
  if (page.cursor !== null) {
    const [, value = "", id = ""] = key.exec(fromCursor(page.cursor, key))!;
    const beyond = order === "asc" ? ">" : "<";
    if (isById) add(`"id" ${beyond} ?`, id);
    else add(`(${column}, "id") ${beyond} (?, ?)`, value, id);
  }
  const rows = await db.sql.all<{ id: string; value: string }>(
    `SELECT "id", ${column} AS "value" FROM "Workflow" WHERE ${where.join(" AND ")}
     ORDER BY ${column} ${order}, "id" ${order} LIMIT ?`,
    ...values,
    page.limit + 1,
  );
  const cut = toPage(
    rows,
    page,
    ({ id, value }) => (isById ? id : `${value}/${id}`),
    ({ id }) => id,
  );
  return { ...cut, items: await viewsOf(db, cut.items) };
}
