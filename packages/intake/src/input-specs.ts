import type { Sql } from "@maia/db";
import type { InputSpec, WorkflowSnapshot } from "@maia/domain";

/** Most versions whose input spec is kept. */
const KEPT = 1_000;

/** Input specs by version: a version never changes, and most of a snapshot is scripts that no job needs to be read for. */
const kept = new Map<string, InputSpec | null>();

/** What a version says about the input of its jobs. */
export async function inputSpecOf(sql: Sql, versionId: string): Promise<InputSpec | null> {
  const known = kept.get(versionId);
  if (known !== undefined) return known;
  const text = `SELECT "workflowSnap" FROM "WorkflowVersion" WHERE "id" = ?`;
  const row = await sql.get<{ workflowSnap: string }>(text, versionId);
  if (!row) throw new Error(`version ${versionId} does not exist`);
  const { inputSpec }: WorkflowSnapshot = JSON.parse(row.workflowSnap);
  const oldest = kept.keys().next().value;
  if (kept.size >= KEPT && oldest !== undefined) kept.delete(oldest);
  kept.set(versionId, inputSpec);
  return inputSpec;
}
