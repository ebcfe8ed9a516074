import { HOSTED_RUNNER, keepBlob, noteContent, noteStoredAfar, type Tx, toDbTime } from "@maia/db";
import { type DataResidency, inputFilePath, invalid, newId, type Trigger } from "@maia/domain";
import type { JobRequest, JobUrlFile } from "./job-request.js";
import { type Upload, unknownBlob } from "./prepare-job.js";
import type { Resolved } from "./resolve.js";

/** Why a job exists, and on whose behalf. */
export interface JobCause {
  readonly trigger: Trigger;
  readonly requestedBy: string;
  readonly scheduleId?: string;
  /** The instant for which a schedule makes the job. */
  readonly scheduledFor?: Date;
  readonly batchId?: string;
  readonly itemIndex?: number;
  readonly originRunId?: string;
  /** JSON of a re-run's plan. */
  readonly rerun?: string;
}

/** What is stored of a job. */
export interface StorableJob {
  readonly target: Omit<Resolved, "inputSpec" | "runnerId" | "dataResidency"> &
    Pick<JobValues, "runnerId" | "dataResidency">;
  readonly request: Pick<JobRequest, "files" | "urlFiles" | "priority" | "labels">;
  /** The params as JSON text, defaults filled in. */
  readonly params: string;
  readonly files: readonly Upload[];
}

/**
 * Stores a job with its files and its event, and wakes the engine.
 * @throws {MaiaError} BLOB_UNKNOWN when the bytes of a file were collected since it was looked up.
 */
export async function storeJob(tx: Tx, jobId: string, job: StorableJob, cause: JobCause, now: Date): Promise<void> {
  const { projectId } = job.target;
  const { params, request } = job;
  const values = { ...job.target, params, priority: request.priority, labels: JSON.stringify(request.labels) };
  await insertJob(tx, jobId, values, cause, now);
  for (const [position, file] of job.files.entries()) {
    if (position < job.request.files.length) await refreshBlob(tx, position, file, now);
    await insertUpload(tx, jobId, projectId, position, file, now);
  }
  for (const [index, file] of job.request.urlFiles.entries()) {
    await insertUrlFile(tx, jobId, job.files.length + index, file, now);
  }
  await announceJob(tx, jobId, projectId, cause, now);
}

/** Tells that a job waits, and wakes the engine. */
export async function announceJob(tx: Tx, jobId: string, projectId: string, cause: JobCause, now: Date): Promise<void> {
  const batch = cause.batchId === undefined ? {} : { batchId: cause.batchId };
  const data = { jobId, status: "QUEUED" as const, runId: null, ...batch, at: now.toISOString() };
  await tx.event("job_status", { projectId }, data);
  tx.ring("engine");
}

/** What the row of a job says; params and labels are JSON text. */
export interface JobValues {
  readonly projectId: string;
  readonly workflowId: string;
  readonly versionId: string;
  readonly environmentId: string;
  /** The runner that was asked for; null: the environment's default, else the hosted one. */
  readonly runnerId: string | null;
  /** Left out: as the environment says now. */
  readonly dataResidency?: DataResidency;
  readonly params: string;
  readonly priority: number;
  readonly labels: string;
  readonly queueTimeoutMs: number | null;
}

/** The row alone. */
export async function insertJob(tx: Tx, jobId: string, job: JobValues, cause: JobCause, now: Date): Promise<void> {
  await tx.sql.run(
    `INSERT INTO "JobRun" ("id", "projectId", "workflowId", "workflowVersionId", "environmentId", "runnerId", "dataResidency", "status", "inputJson", "priority", "labels",
       "trigger", "requestedBy", "scheduleId", "scheduledFor", "batchId", "itemIndex", "originRunId", "rerun", "queueDeadline", "createdAt")
     VALUES (?, ?, ?, ?, ?, COALESCE(?, (SELECT "defaultRunnerId" FROM "Environment" WHERE "id" = ?), (SELECT "id" FROM "Runner" WHERE "name" = '${HOSTED_RUNNER}')),
       COALESCE(?, (SELECT "dataResidency" FROM "Environment" WHERE "id" = ?)), 'QUEUED', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    jobId,
    job.projectId,
    job.workflowId,
    job.versionId,
    job.environmentId,
    job.runnerId,
    job.environmentId,
    job.dataResidency ?? null,
    job.environmentId,
    job.params,
    job.priority,
    job.labels,
    cause.trigger,
    cause.requestedBy,
    cause.scheduleId ?? null,
    cause.scheduledFor ? toDbTime(cause.scheduledFor) : null,
    cause.batchId ?? null,
    cause.itemIndex ?? null,
    cause.originRunId ?? null,
    cause.rerun ?? null,
    job.queueTimeoutMs === null ? null : toDbTime(new Date(now.getTime() + job.queueTimeoutMs)),
    toDbTime(now),
  );
}

/** Content that was found by its hash may have been collected meanwhile; what is still here becomes young again. */
async function refreshBlob({ sql }: Tx, index: number, { sha256 }: Upload, now: Date): Promise<void> {
  const changed = await sql.run(`UPDATE "InputBlob" SET "usedAt" = ? WHERE "sha256" = ?`, toDbTime(now), sha256);
  if (changed === 0) throw invalid([unknownBlob(index)], "BLOB_UNKNOWN");
}

async function insertUpload(
  tx: Tx,
  jobId: string,
  projectId: string,
  position: number,
  file: Upload,
  now: Date,
): Promise<void> {
  const id = newId("file", now);
  await (file.keptBy ? noteContent(tx, file, now) : keepBlob(tx, file, projectId, now));
  await tx.sql.run(
    `INSERT INTO "InputFile" ("id", "jobRunId", "position", "name", "source", "status", "sha256", "path", "sizeBytes", "mime", "createdAt")
     VALUES (?, ?, ?, ?, 'upload', 'READY', ?, ?, ?, ?, ?)`,
    id,
    jobId,
    position,
    file.name,
    file.sha256,
    inputFilePath(position, file.name),
    file.sizeBytes,
    file.mime,
    toDbTime(now),
  );
  if (file.keptBy) await noteStoredAfar(tx, id, { ...file.keptBy, ...file });
}

async function insertUrlFile(tx: Tx, jobId: string, position: number, file: JobUrlFile, now: Date): Promise<void> {
  await tx.sql.run(
    `INSERT INTO "InputFile" ("id", "jobRunId", "position", "name", "source", "status", "url", "createdAt")
     VALUES (?, ?, ?, ?, 'url', 'FETCHING', ?, ?)`,
    newId("file", now),
    jobId,
    position,
    file.name,
    file.url,
    toDbTime(now),
  );
}
