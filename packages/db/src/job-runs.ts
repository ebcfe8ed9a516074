import { type FailureFacts, type JobRunMove, jobRunMoves } from "@maia/domain";
import { toDbTime } from "./time.js";
import type { Tx } from "./types.js";

/** Moves a job and tells about it, or does neither. False: it was no longer where the move starts. */
export async function moveJob(
  tx: Tx,
  job: { readonly id: string; readonly projectId: string },
  name: JobRunMove,
  now: Date,
  facts: { readonly runId?: string; readonly failure?: FailureFacts | null } = {},
): Promise<boolean> {
  const { from, to } = jobRunMoves[name];
  const at = toDbTime(now);
  const stamp = to === "RUNNING" ? `"startedAt" = ?` : `"finishedAt" = ?`;
  const failure = facts.failure ? JSON.stringify(facts.failure) : null;
  const row = await tx.sql.get<{ batchId: string | null }>(
    `UPDATE "JobRun" SET "status" = ?, "failure" = ?, ${stamp} WHERE "id" = ? AND "status" = ? RETURNING "batchId"`,
    to,
    failure,
    at,
    job.id,
    from[0],
  );
  if (!row) return false;
  const data = {
    jobId: job.id,
    status: to,
    runId: facts.runId ?? null,
    ...(row.batchId === null ? {} : { batchId: row.batchId }),
    at: now.toISOString(),
    ...(facts.failure ? { failure: facts.failure } : {}),
  };
  await tx.event("job_status", { projectId: job.projectId }, data);
  if (row.batchId !== null && to !== "RUNNING") tx.ring("engine"); // its batch may have another row to open
  return true;
}
