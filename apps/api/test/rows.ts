import {
  type Db,
  findEnvironment,
  findProject,
  insertRun,
  moveJob,
  moveRun,
  type NewRun,
  type OwnedRun,
  type Tx,
  toDbTime,
} from "@maia/db";
import { canonicalJson, depsHash, type LogLine, newId, sha256Hex } from "@maia/domain";
import type { TestApi } from "./support.js";

const step = (key: string, deps: readonly string[] = []) => ({
  key,
  name: key,
  runtime: "node",
  script: "",
  deps,
  timeoutMs: 1_000,
});

/** A published workflow, written as rows. */
export async function aWorkflow(api: TestApi, slug = "hello", project = "default") {
  const { db, now } = api;
  const { id: projectId } = (await findProject(db.sql, project))!;
  const snap = canonicalJson({
    name: slug,
    description: "",
    dependencies: { npm: {}, python: [] },
    steps: [step("first"), step("second", ["first"])],
  });
  const id = newId("workflow", now);
  const versionId = newId("version", now);
  const times = { createdAt: now, updatedAt: now };
  await db.write(async ({ models }) => {
    const hash = sha256Hex(snap);
    await models.workflow.create({
      data: { id, projectId, slug, draft: snap, draftHash: hash, latestVersion: 1, ...times },
    });
    await models.workflowVersion.create({
      data: { id: versionId, workflowId: id, version: 1, workflowSnap: snap, snapHash: hash, createdAt: now },
    });
  });
  return { id, projectId, slug, versionId };
}

type Workflow = Awaited<ReturnType<typeof aWorkflow>>;

/** A queued job, written as a row. */
export async function aJob(
  api: TestApi,
  workflow: Workflow,
  values: Partial<Record<"labels" | "status" | "inputJson", string>> = {},
) {
  const { db, now } = api;
  const id = newId("job", now);
  const environment = (await findEnvironment(db.sql, workflow.projectId, "default"))!;
  await db.write(async (tx) => {
    await insertJob(tx, { id, workflow, environmentId: environment.id, now, ...values });
  });
  return { id, projectId: workflow.projectId };
}

interface JobValues {
  readonly id: string;
  readonly workflow: Workflow;
  readonly environmentId: string;
  readonly now: Date;
  readonly status?: string;
  readonly labels?: string;
  readonly inputJson?: string;
}

/** The row alone. */
export async function insertJob(
  { sql }: Tx,
  { id, workflow, environmentId, now, status, labels, inputJson }: JobValues,
) {
  await sql.run(
    `INSERT INTO "JobRun" ("id", "projectId", "workflowId", "workflowVersionId", "environmentId", "runnerId", "status", "inputJson", "labels", "trigger", "createdAt")
     VALUES (?, ?, ?, ?, ?, (SELECT "id" FROM "Runner" WHERE "name" = 'hosted'), ?, ?, ?, 'manual', ?)`,
    id,
    workflow.projectId,
    workflow.id,
    workflow.versionId,
    environmentId,
    status ?? "QUEUED",
    inputJson ?? "{}",
    labels ?? "{}",
    toDbTime(now),
  );
}

/** A run of a new job, as an engine would open it. */
export async function aRun(
  api: TestApi,
  workflow: Workflow,
  stepKeys: readonly string[] = ["first", "second"],
): Promise<OwnedRun> {
  const job = await aJob(api, workflow);
  const run: NewRun = {
    id: newId("run", api.now),
    jobId: job.id,
    projectId: job.projectId,
    workflowId: workflow.id,
    versionId: workflow.versionId,
    runnerId: "hosted",
    dataResidency: "maia",
    epoch: 1,
    ownerId: "eng_test",
    status: "RUNNING",
    initialInput: `{"files":[]}`,
    stepKeys,
  };
  await api.db.write(async (tx) => {
    await moveJob(tx, job, "claim", api.now, { runId: run.id });
    await insertRun(tx, run, api.now);
  });
  return run;
}

/** Ends the run, its job with it. */
export function endRun(api: TestApi, run: OwnedRun): Promise<boolean> {
  return api.db.write((tx) => moveRun(tx, run, "stepsSucceeded", api.now, { outputs: {} }));
}

/** An attempt of the run's first step. */
export async function anAttempt({ db, now }: TestApi, run: OwnedRun, no = 1): Promise<string> {
  const id = newId("attempt", now);
  await db.write(({ sql }) =>
    sql.run(
      `INSERT INTO "Attempt" ("id", "runId", "stepKey", "no", "status", "epoch", "engineId", "token", "createdAt") VALUES (?, ?, 'first', ?, 'RUNNING', 1, 'eng_test', 'secret-token', ?)`,
      id,
      run.id,
      no,
      toDbTime(now),
    ),
  );
  return id;
}

/** Lines of a log, numbered from `from`, as one event. */
export function logEvent(
  db: Db,
  run: OwnedRun,
  attemptId: string,
  from: number,
  texts: readonly string[],
): Promise<void> {
  const lines: LogLine[] = texts.map((line, index) => ({
    seq: from + index,
    at: "2026-11-20T12:00:00.000Z",
    stream: "stdout",
    line,
  }));
  const about = { runId: run.id, projectId: run.projectId, attemptId, fromSeq: from, toSeq: from + texts.length - 1 };
  return db.write((tx) => tx.event("log_line", about, { runId: run.id, stepKey: "first", attemptNo: 1, lines }));
}

/** Pins the packages of a version, as the first install does. @returns the hash of the set */
export async function pin(api: TestApi, workflow: string, n: number, lock: string): Promise<string> {
  const { workflowId, workflowSnap } = (await api.get(`/v1/workflows/${workflow}/versions/${n}`)).json;
  const hash = depsHash(workflowSnap.dependencies, lock);
  await api.db.write(({ models }) =>
    models.workflowVersion.updateMany({ where: { workflowId, version: n }, data: { depsLock: lock, depsHash: hash } }),
  );
  return hash;
}
