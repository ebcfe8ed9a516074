import type { JobRunStatus } from "@maia/domain";
import { moveJob } from "./job-runs.js";
import { toDbTime } from "./time.js";
import type { Tx } from "./types.js";

/**
 * Asks a job to end. A queued one ends at once and never starts (G16); of a running one the engine hears, and asking
 * again changes nothing. False: the job has ended already.
 */
export async function requestCancel(tx: Tx, jobId: string, now: Date): Promise<boolean> {
  const text = `SELECT "id", "projectId", "status" FROM "JobRun" WHERE "id" = ?`;
  const job = await tx.sql.get<{ id: string; projectId: string; status: JobRunStatus }>(text, jobId);
  if (!job || (job.status !== "QUEUED" && job.status !== "RUNNING")) return false;
  const at = toDbTime(now);
  await tx.sql.run(
    `UPDATE "JobRun" SET "cancelRequestedAt" = ? WHERE "id" = ? AND "cancelRequestedAt" IS NULL`,
    at,
    job.id,
  );
  if (job.status === "QUEUED") {
    const failure = { code: "CANCELED" as const, message: "The job was canceled before it started", stepKey: null };
    return moveJob(tx, job, "cancelQueued", now, { failure });
  }
  await tx.sql.run(
    `UPDATE "Run" SET "cancelRequestedAt" = ? WHERE "jobRunId" = ? AND "cancelRequestedAt" IS NULL`,
    at,
    job.id,
  );
  tx.ring("engine");
  return true;
}
