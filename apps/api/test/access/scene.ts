import { createApiKey, findProject, noteStoredAfar } from "@maia/db";
import { newId, sha256Hex } from "@maia/domain";
import { encodeFrames } from "@maia/runner-protocol";
import { aLife, anOffer, aRunner, ScriptedRunner, type TestRunner } from "../fleet.js";
import { aJob, anAttempt, aRun, aWorkflow, endRun, logEvent } from "../rows.js";
import type { TestApi } from "../support.js";

/** New objects of the project `mine`, each time it is asked for one. */
export class Scene {
  #count = 0;

  private constructor(
    readonly api: TestApi,
    readonly projectId: string,
    /** A runner that dials out. */
    readonly runner: TestRunner,
  ) {}

  static async open(api: TestApi): Promise<Scene> {
    await api.post("/v1/projects", { name: "mine" });
    const engine = { id: "eng_scene", bellId: "b", heartbeatSeq: 1, startedAt: api.now };
    await api.db.write(({ models }) => models.engine.create({ data: engine })); // the hosted runner is RUNNING
    return new Scene(api, (await findProject(api.db.sql, "mine"))!.id, await aRunner(api, "north"));
  }

  /** A name that no object has; whatever begins with `mine-` is a name of this project. */
  name(): string {
    this.#count += 1;
    return `mine-${this.#count}`;
  }

  workflow() {
    return aWorkflow(this.api, this.name(), "mine");
  }

  /** A workflow that was published like any other, and so can be changed. */
  async published(): Promise<string> {
    const steps = [{ key: "first", script: "y" }];
    return (await this.api.put(`/v1/workflows/${this.name()}?project=mine`, { steps })).json.workflowId;
  }

  /** A runner that only this project may use. */
  async ownRunner(): Promise<string> {
    const body = { name: this.name(), platform: "self_managed", restricted: true };
    const { id } = (await this.api.post("/v1/runners", body)).json;
    await this.api.put(`/v1/runners/${id}/allowlist`, { projects: { [this.projectId]: {} } });
    return id;
  }

  async runnerToken(): Promise<string> {
    return (await ScriptedRunner.withToken(this.api, this.runner)).token;
  }

  /** A process of the runner that has said hello. */
  async instance() {
    const process = await this.#process();
    return { path: `/v1/gateway/instances/${process.instanceId}`, headers: generationOf(process) };
  }

  /** The same, which has a store. */
  async keeper() {
    const process = await this.#process();
    await process.hello({ storeId: `sto_${this.name()}` });
    return { path: `/v1/gateway/instances/${process.instanceId}`, headers: generationOf(process) };
  }

  /** An attempt that such a process was given, and what it may say of it. */
  async attempt() {
    const { api } = this;
    const process = await this.#process();
    const id = await this.published();
    const text = `SELECT w."id", w."projectId", w."slug", v."id" AS "versionId" FROM "Workflow" w JOIN "WorkflowVersion" v ON v."workflowId" = w."id" WHERE w."id" = ?`;
    const workflow = (await api.db.sql.get<Parameters<typeof anOffer>[2]>(text, id))!;
    const bound = await anOffer(api, process, workflow);
    const [task] = (await process.poll()).json.tasks;
    const headers = { ...generationOf(process), "Maia-Attempt-Token": bound.token };
    const path = `/v1/gateway/attempts/${bound.ref.id}`;
    return { path, headers, frames: encodeFrames(aLife(bound)), script: task.script.sha256 as string };
  }

  /** Bytes that a process of the runner keeps, and that somebody waits for. */
  async transfer() {
    const { api, runner } = this;
    const process = await this.#process();
    const storeId = `sto_${this.name()}`;
    await process.hello({ storeId });
    const { artifact, sha256 } = await this.endedRun();
    const content = { storeId, runnerId: runner.id, sha256, sizeBytes: 5 };
    await api.db.write(async (tx) => {
      await tx.models.artifact.update({ where: { id: artifact }, data: { sizeBytes: 5n } });
      await noteStoredAfar(tx, artifact, content);
    });
    void api.request("GET", `/v1/artifacts/${artifact}/content`, { headers: { Range: "bytes=1-4" } });
    const [command] = (await process.poll()).json.commands;
    return { path: `/v1/gateway/transfers/${command.transferId}`, headers: generationOf(process), text: "1234" };
  }

  /** A file that somebody sends to a process of the runner, which keeps data. */
  async sending() {
    const { api, runner, projectId } = this;
    const process = await this.#process();
    await process.hello({ storeId: `sto_${this.name()}` });
    const others = `UPDATE "RunnerInstance" SET "storeId" = NULL WHERE "runnerId" = ? AND "id" <> ?`;
    await api.db.write(({ sql }) => sql.run(others, runner.id, process.instanceId)); // so that it is the one that is asked
    const environment = { name: this.name(), dataResidency: "runner", defaultRunner: runner.id };
    await api.post(`/v1/projects/${projectId}/environments`, environment);
    const form = new FormData();
    const { id } = await this.workflow();
    form.append("request", JSON.stringify({ workflow: id, environment: environment.name }));
    form.append("files", new Blob(["content"]), "a.txt");
    void api.request("POST", "/v1/jobs", { body: form });
    const [command] = (await process.poll()).json.commands;
    return { path: `/v1/gateway/transfers/${command.transferId}`, headers: generationOf(process) };
  }

  #process(): Promise<ScriptedRunner> {
    return ScriptedRunner.connect(this.api, this.runner, `lgr_${this.name()}`);
  }

  async job(): Promise<string> {
    return (await aJob(this.api, await this.workflow())).id;
  }

  async run(): Promise<string> {
    return (await aRun(this.api, await this.workflow())).id;
  }

  /** A run with a line of log, an artifact and a file, which has ended. */
  async endedRun() {
    const { api } = this;
    const run = await aRun(api, await this.workflow());
    const attempt = await anAttempt(api, run);
    await logEvent(api.db, run, attempt, 1, ["one"]);
    const { sha256, sizeBytes } = await api.blobs.put(Buffer.from(`report of ${run.id}`));
    const [artifact, file] = [newId("artifact", api.now), newId("file", api.now)];
    await api.db.write(async ({ models }) => {
      const blob = { sha256, sizeBytes: BigInt(sizeBytes), mime: "text/plain", createdAt: api.now };
      await models.inputBlob.create({ data: { ...blob, usedAt: api.now } });
      const input = { jobRunId: run.jobId, position: 0, name: "in.txt", source: "upload", status: "READY" };
      await models.inputFile.create({ data: { ...blob, ...input, id: file, path: "inputs/0-in.txt" } });
      const about = { runId: run.id, attemptId: attempt, stepKey: "first", attemptNo: 1 };
      await models.artifact.create({ data: { ...blob, ...about, id: artifact, name: "report.txt", system: false } });
    });
    await endRun(api, run);
    return { id: run.id, jobId: run.jobId, artifact, file, sha256 };
  }

  async batch(): Promise<string> {
    const { id } = await this.workflow();
    return (await this.api.post("/v1/batches", { workflow: id, items: [{}] })).json.id;
  }

  /** A batch that has ended, with a row that failed. */
  async failedBatch(): Promise<string> {
    const { api } = this;
    const workflow = await this.workflow();
    const { id } = (await api.post("/v1/batches", { workflow: workflow.id, items: [{}] })).json;
    const job = await aJob(api, workflow, { status: "FAILED" });
    await api.db.write(async ({ sql }) => {
      await sql.run(`UPDATE "JobRun" SET "batchId" = ?, "itemIndex" = 0 WHERE "id" = ?`, id, job.id);
      await sql.run(`UPDATE "Batch" SET "status" = 'FAILED', "cursor" = 1 WHERE "id" = ?`, id);
    });
    return id;
  }

  async schedule(): Promise<string> {
    const { id } = await this.workflow();
    return (await this.api.post("/v1/schedules", { workflow: id, kind: "interval", intervalMs: 60_000 })).json.id;
  }

  async environment(): Promise<string> {
    const made = await this.api.post(`/v1/projects/${this.projectId}/environments`, { name: this.name() });
    return made.json.id;
  }

  /** An environment with a secret TOKEN. */
  async secret(): Promise<string> {
    const id = await this.environment();
    await this.api.put(`/v1/environments/${id}/secrets/TOKEN`, { value: "swordfish" });
    return id;
  }

  async key(): Promise<string> {
    const { api, projectId } = this;
    const wanted = { name: this.name(), role: "viewer", projects: [projectId] };
    return (await api.db.write((tx) => createApiKey(tx, wanted, api.now))).key.id;
  }

  /** The id and secret of a key, as a client of OAuth. */
  async client(): Promise<{ id: string; secret: string }> {
    const presented = await this.api.keyOf("viewer", [this.projectId]);
    const [, id, secret] = /^mk_([0-9a-z]+)_(.+)$/.exec(presented)!;
    return { id: `key_${id}`, secret: secret! };
  }

  /** Content that is known in the project, by its hash. */
  async blob(): Promise<string> {
    const content = `content of ${this.name()}`;
    const sha256 = sha256Hex(content);
    await this.api.request("PUT", `/v1/blobs/${sha256}?project=mine`, { body: content });
    return sha256;
  }
}

function generationOf({ generation }: ScriptedRunner): Record<string, string> {
  return { "Maia-Generation": String(generation) };
}
