import type { DataResidency, RunStatus, RunStepStatus } from "@maia/domain";
import type { Sql } from "./types.js";

/** A run that is to be run again. */
export interface Origin {
  readonly id: string;
  readonly status: RunStatus;
  readonly jobId: string;
  readonly projectId: string;
  readonly workflowId: string;
  readonly versionId: string;
  /** JSON text. */
  readonly initialInput: string;
  readonly environmentId: string;
  readonly runnerId: string | null;
  readonly dataResidency: DataResidency;
  /** JSON text of the job's params. */
  readonly params: string;
  readonly priority: number;
  /** JSON text. */
  readonly labels: string;
  readonly workflow: string;
  readonly isWorkflowDeleted: boolean;
}

/** A run with what its job asked for. */
export async function findOrigin(sql: Sql, runId: string): Promise<Origin | undefined> {
  const row = await sql.get<Omit<Origin, "isWorkflowDeleted"> & { deletedAt: string | null }>(
    `SELECT r."id", r."status", r."jobRunId" AS "jobId", r."projectId", r."workflowId", r."workflowVersionId" AS "versionId",
       r."initialInput", j."environmentId", j."runnerId", j."dataResidency", j."inputJson" AS "params", j."priority", j."labels",
       w."slug" AS "workflow", w."deletedAt"
     FROM "Run" r JOIN "JobRun" j ON j."id" = r."jobRunId" JOIN "Workflow" w ON w."id" = r."workflowId" WHERE r."id" = ?`,
    runId,
  );
  if (!row) return undefined;
  const { deletedAt, ...rest } = row;
  return { ...rest, isWorkflowDeleted: deletedAt !== null };
}

/** The result of a step: the attempt that succeeded, of whichever run. */
export interface StepResult {
  readonly runId: string;
  readonly attemptId: string;
  readonly attemptNo: number;
}

/** False once a run was deleted. */
export async function isRunHere(sql: Sql, runId: string): Promise<boolean> {
  return (await sql.get(`SELECT 1 AS "one" FROM "Run" WHERE "id" = ?`, runId)) !== undefined;
}

/** How the steps of a run stand, by key, with their results; a result that was reused is the first one's. */
export async function stepResults(
  sql: Sql,
  runId: string,
): Promise<Map<string, { readonly status: RunStepStatus; readonly result: StepResult | null }>> {
  const rows = await sql.all<
    { key: string; status: RunStepStatus } & { [K in keyof StepResult]: StepResult[K] | null }
  >(
    `SELECT s."key", s."status", COALESCE(a."id", o."id") AS "attemptId", COALESCE(a."runId", o."runId") AS "runId",
       COALESCE(a."no", o."no") AS "attemptNo"
     FROM "RunStep" s LEFT JOIN "Attempt" a ON a."runId" = s."runId" AND a."stepKey" = s."key" AND a."status" = 'SUCCEEDED'
     LEFT JOIN "Attempt" o ON o."id" = s."reusedAttemptId" WHERE s."runId" = ?`,
    runId,
  );
  return new Map(
    rows.map(({ key, status, attemptId, runId, attemptNo }) => {
      const result = attemptId && runId && attemptNo ? { attemptId, runId, attemptNo } : null;
      return [key, { status, result }];
    }),
  );
}

/** Which attempt of a run an id means, if any. */
export async function findAttempt(
  sql: Sql,
  runId: string,
  attemptId: string,
): Promise<{ readonly stepKey: string; readonly no: number } | undefined> {
  return sql.get(`SELECT "stepKey", "no" FROM "Attempt" WHERE "id" = ? AND "runId" = ?`, attemptId, runId);
}

/** The content of a file that a step left behind. */
export interface StepArtifact {
  readonly sha256: string;
  readonly sizeBytes: number;
  /** The store of a runner that has it; null: Maia has. */
  readonly storeId: string | null;
}

/** A file that a step left behind, in this run or in the one whose result the step has. */
export async function findStepArtifact(
  sql: Sql,
  runId: string,
  stepKey: string,
  name: string,
): Promise<StepArtifact | undefined> {
  const columns = `SELECT f."sha256", f."sizeBytes", (SELECT "storeId" FROM "StoredAfar" WHERE "ownerId" = f."id") AS "storeId" FROM "Artifact" f`;
  const own = await sql.get<StepArtifact>(
    `${columns} JOIN "Attempt" a ON a."id" = f."attemptId"
     WHERE a."runId" = ? AND a."stepKey" = ? AND a."status" = 'SUCCEEDED' AND f."system" = 0 AND f."name" = ?`,
    runId,
    stepKey,
    name,
  );
  if (own) return own;
  return sql.get(
    `${columns} JOIN "RunStep" s ON s."reusedAttemptId" = f."attemptId"
     WHERE s."runId" = ? AND s."key" = ? AND f."system" = 0 AND f."name" = ?`,
    runId,
    stepKey,
    name,
  );
}

/** The re-run that a job is, as JSON text; null where it is an ordinary one. */
export async function findRerun(sql: Sql, jobId: string): Promise<string | null> {
  return (await sql.get<{ rerun: string | null }>(`SELECT "rerun" FROM "JobRun" WHERE "id" = ?`, jobId))?.rerun ?? null;
}
