import type { Scope } from "./pages.js";
import { containing } from "./text-match.js";
import type { Sql } from "./types.js";
import { type Condition, inProjects } from "./walk.js";

/** As many workflows as are still worth walking along side by side. */
const WALKED_MAX = 20;

/**
 * The workflows whose name holds a text, deleted ones too.
 * @returns their ids, or undefined where they are too many to be walked along; and how to tell a row of theirs.
 */
export async function namedWorkflows(
  sql: Sql,
  projects: Scope,
  q: string,
): Promise<{ readonly ids: readonly string[] | undefined; readonly condition: Condition }> {
  const conditions = [{ text: `"slug" LIKE ? ESCAPE '\\'`, values: [containing(q)] }, ...inProjects(projects)];
  const text = `SELECT "id" FROM "Workflow" WHERE ${conditions.map((one) => one.text).join(" AND ")}`;
  const values = conditions.flatMap((one) => one.values);
  const rows = await sql.all<{ id: string }>(`${text} LIMIT ?`, ...values, WALKED_MAX + 1);
  const ids = rows.length > WALKED_MAX ? undefined : rows.map(({ id }) => id);
  return { ids, condition: { text: `"workflowId" IN (${text})`, values } };
}
