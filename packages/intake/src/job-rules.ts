import type { Sql } from "@maia/db";
import { storedSnapshot, type WorkflowSnapshot } from "@maia/domain";

/** What a version says about its jobs before they run. */
export type JobRules = Pick<WorkflowSnapshot, "inputSpec" | "queueTimeoutMs">;

/** Most versions whose rules are kept. */
const KEPT = 1_000;

/** Rules by version: a version never changes, and most of a snapshot is scripts that no job needs to be read for. */
const kept = new Map<string, JobRules>();

/** What a version says about its jobs. */
export async function jobRulesOf(sql: Sql, versionId: string): Promise<JobRules> {
  const known = kept.get(versionId);
  if (known !== undefined) return known;
  const text = `SELECT "workflowSnap" FROM "WorkflowVersion" WHERE "id" = ?`;
  const row = await sql.get<{ workflowSnap: string }>(text, versionId);
  if (!row) throw new Error(`version ${versionId} does not exist`);
  const { inputSpec, queueTimeoutMs = null } = storedSnapshot(row.workflowSnap);
  const rules = { inputSpec, queueTimeoutMs };
  const oldest = kept.keys().next().value;
  if (kept.size >= KEPT && oldest !== undefined) kept.delete(oldest);
  kept.set(versionId, rules);
  return rules;
}
