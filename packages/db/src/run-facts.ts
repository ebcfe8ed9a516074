import type {
  AttemptFacts,
  AttemptStatus,
  InputFileStatus,
  RunFacts,
  RunStatus,
  RunStepStatus,
  WorkflowSnapshot,
} from "@maia/domain";
import type { OwnedRun } from "./runs.js";
import { fromDbTime } from "./time.js";
import type { Sql, Tx } from "./types.js";

interface StepRow {
  key: string;
  status: RunStepStatus;
  nextAttemptAt: string | null;
  queuedAt: string | null;
}

interface AttemptRow {
  id: string;
  stepKey: string;
  no: number;
  status: AttemptStatus;
  stopRequestedAt: string | null;
  failure: string | null;
}

/** The facts that `planRun` decides from. Null: the run is not ours (any more). */
export async function readRunFacts(
  tx: Tx,
  run: OwnedRun,
  snapshot: WorkflowSnapshot,
  timedOut: boolean,
): Promise<RunFacts | null> {
  const row = await tx.sql.get<{ status: RunStatus; cancelRequestedAt: string | null; cancelReason: string | null }>(
    `SELECT "status", "cancelRequestedAt", "cancelReason" FROM "Run" WHERE "id" = ? AND "ownerEpoch" = ?`,
    run.id,
    run.epoch,
  );
  if (!row) return null;
  const steps = await tx.sql.all<StepRow>(
    `SELECT "key", "status", "nextAttemptAt", "queuedAt" FROM "RunStep" WHERE "runId" = ? ORDER BY "position"`,
    run.id,
  );
  const attempts = await attemptsByStep(tx.sql, run.id);
  const inputs = row.status === "PENDING_INPUTS" ? await readInputs(tx.sql, run.jobId) : [];
  return {
    id: run.id,
    status: row.status,
    cancelRequested: row.cancelRequestedAt !== null,
    cancelReason: row.cancelReason,
    timedOut,
    concurrency: snapshot.concurrency ?? null,
    inputs,
    steps: steps.map((step, position) => {
      const definition = snapshot.steps[position]!;
      return {
        key: step.key,
        deps: definition.deps,
        status: step.status,
        retry: definition.retry,
        transaction: definition.transaction,
        rollback: definition.rollback,
        nextAttemptAt: fromDbTime(step.nextAttemptAt),
        queuedAt: fromDbTime(step.queuedAt),
        attempts: attempts.get(step.key) ?? [],
      };
    }),
  };
}

async function attemptsByStep(sql: Sql, runId: string): Promise<Map<string, AttemptFacts[]>> {
  const rows = await sql.all<AttemptRow>(
    `SELECT "id", "stepKey", "no", "status", "stopRequestedAt", "failure" FROM "Attempt" WHERE "runId" = ? ORDER BY "no"`,
    runId,
  );
  const byStep = new Map<string, AttemptFacts[]>();
  for (const row of rows) {
    const facts: AttemptFacts = {
      id: row.id,
      no: row.no,
      status: row.status,
      stopping: row.stopRequestedAt !== null,
      failure: row.failure === null ? null : JSON.parse(row.failure),
    };
    const list = byStep.get(row.stepKey);
    if (list) list.push(facts);
    else byStep.set(row.stepKey, [facts]);
  }
  return byStep;
}

async function readInputs(sql: Sql, jobId: string) {
  return sql.all<{ id: string; name: string; status: InputFileStatus; error: string | null }>(
    `SELECT "id", "name", "status", "error" FROM "InputFile" WHERE "jobRunId" = ? ORDER BY "position"`,
    jobId,
  );
}
