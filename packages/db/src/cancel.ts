import { canceled, type JobRunStatus } from "@maia/domain";
import { moveJob } from "./job-runs.js";
import { toDbTime } from "./time.js";
import type { Tx } from "./types.js";

/**
 * Asks a job to end. A queued one ends at once and never starts (G16); of a running one the engine hears, and asking
 * again changes nothing, nor does another reason. False: the job has ended already.
 */
export async function requestCancel(tx: Tx, jobId: string, now: Date, reason: string | null = null): Promise<boolean> {
  const text = `SELECT "id", "projectId", "status" FROM "JobRun" WHERE "id" = ?`;
  const job = await tx.sql.get<{ id: string; projectId: string; status: JobRunStatus }>(text, jobId);
  if (!job || (job.status !== "QUEUED" && job.status !== "RUNNING")) return false;
  const at = toDbTime(now);
  await tx.sql.run(
    `UPDATE "JobRun" SET "cancelRequestedAt" = ?, "cancelReason" = ? WHERE "id" = ? AND "cancelRequestedAt" IS NULL`,
    at,
    reason,
    job.id,
  );
  if (job.status === "QUEUED") {
    return moveJob(tx, job, "cancelQueued", now, {
      failure: canceled("The job was canceled before it started", reason),
    });
  }
  await tx.sql.run(
    `UPDATE "Run" SET "cancelRequestedAt" = ?, "cancelReason" = ? WHERE "jobRunId" = ? AND "cancelRequestedAt" IS NULL`,
    at,
    reason,
    job.id,
  );
  tx.ring("engine");
  return true;
}
