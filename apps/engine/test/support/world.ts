import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type Db, findRunner, HOSTED_RUNNER, openDb } from "@maia/db";
import { newId, parseDefinition, type Rerun, snapHash } from "@maia/domain";
import { openSchemaWorker } from "@maia/schema";
import { SecretBox } from "@maia/secrets";
import { type Logger, readConstants } from "@maia/service";
import { BlobStore } from "@maia/storage";
import type { EngineConfig } from "../../src/config.js";
import { Engine } from "../../src/engine.js";
import type { InputFetcher } from "../../src/fetches.js";
import { inputFetcher } from "../../src/input-fetcher.js";
import { ScriptedExecutor } from "./scripted-executor.js";

const quiet: Logger = { error() {}, warn() {}, info() {}, debug() {}, child: () => quiet };

export interface StepDraft {
  key: string;
  script: string;
  deps?: string[];
  retry?: Record<string, number>;
  transaction?: string;
  rollback?: boolean;
}

/** What of which run a job does again. */
export interface RerunDraft {
  readonly originRunId: string;
  readonly plan: Rerun;
}

export interface FileDraft {
  name: string;
  url?: string;
  text?: string;
}

/** A database in a folder of its own, engines on it as a test wants them, and ways to look at what they did. */
export class World implements AsyncDisposable {
  readonly executor = new ScriptedExecutor();
  readonly schemas = openSchemaWorker({ validateMs: 500, maxBytes: 65_536, nodesMax: 2_000 });
  /** The runner of the jobs that are queued from now on; null: the hosted one. */
  runnerId: string | null = null;
  readonly #engines: Engine[] = [];

  private constructor(
    readonly folder: string,
    readonly db: Db,
    readonly blobs: BlobStore,
  ) {}

  static async open(): Promise<World> {
    const folder = await mkdtemp(path.join(os.tmpdir(), "maia-engine-"));
    return new World(folder, await World.database(folder), await BlobStore.open(`${folder}/blobs`, `${folder}/tmp`));
  }

  /** Opens the database as another process would: with a doorbell of its own. */
  static database(folder: string): Promise<Db> {
    return openDb({
      url: `file:${folder}/maia.db`,
      bellsDir: `${folder}/bells`,
      busyTimeoutMs: 100,
      retryBudgetMs: 5_000,
    });
  }

  async engine(
    more: {
      executor?: ScriptedExecutor;
      env?: Record<string, string>;
      db?: Db;
      monotonic?: () => number;
      clock?: () => Date;
      fetcher?: InputFetcher;
      drainMs?: number;
    } = {},
  ): Promise<Engine> {
    const config: EngineConfig = {
      constants: readConstants(more.env ?? {}),
      isolation: "auto",
      packages: { npmRegistry: null, pythonIndex: null },
      runner: null,
      hasPool: false,
      secretKeys: null,
      urlAllow: "127.0.0.1",
      urlDns: "",
      drainMs: more.drainMs ?? 100,
    };
    const engine = await Engine.start(config, {
      db: more.db ?? this.db,
      blobs: this.blobs,
      secrets: new SecretBox(null, "/nowhere/secret-key"),
      logger: quiet,
      clock: more.clock ?? (() => new Date()),
      monotonic: more.monotonic ?? (() => performance.now()),
      fetcher: more.fetcher ?? inputFetcher(config, this.blobs),
      schemas: this.schemas,
      executor: more.executor ?? this.executor,
      runnerId: (await findRunner(this.db.sql, HOSTED_RUNNER))!.id,
    });
    this.#engines.push(engine);
    return engine;
  }

  /** Stops an engine before the world ends. */
  async stop(engine: Engine): Promise<void> {
    this.#engines.splice(this.#engines.indexOf(engine), 1);
    await engine[Symbol.asyncDispose]();
  }

  /** Publishes a workflow of scripted steps. @returns how to queue a job of it. */
  async workflow(
    name: string,
    steps: StepDraft[],
    more: object = {},
  ): Promise<(input?: object, files?: readonly FileDraft[], rerun?: RerunDraft) => Promise<string>> {
    const snapshot = parseDefinition({ name, steps: steps.map((step) => ({ runtime: "shell", ...step })), ...more });
    const now = new Date();
    const [workflowId, versionId] = [newId("workflow", now), newId("version", now)];
    const at = now.toISOString().replace("Z", "+00:00");
    const where = await this.db.write(async (tx) => {
      const project = await tx.sql.get<{ id: string }>(`SELECT "id" FROM "Project" WHERE "name" = 'default'`);
      const environment = await tx.sql.get<{ id: string }>(
        `SELECT "id" FROM "Environment" WHERE "projectId" = ?`,
        project!.id,
      );
      const workflow = `INSERT INTO "Workflow" ("id", "projectId", "slug", "draft", "draftHash", "createdAt", "updatedAt") VALUES (?, ?, ?, '{}', '', ?, ?)`;
      await tx.sql.run(workflow, workflowId, project!.id, name, at, at);
      const version = `INSERT INTO "WorkflowVersion" ("id", "workflowId", "version", "workflowSnap", "snapHash", "createdAt") VALUES (?, ?, 1, ?, ?, ?)`;
      await tx.sql.run(version, versionId, workflowId, JSON.stringify(snapshot), snapHash(snapshot), at);
      return { projectId: project!.id, environmentId: environment!.id };
    });
    return async (input = { n: 1 }, files = [], rerun) => {
      const id = newId("job", new Date());
      await this.db.write(async (tx) => {
        await tx.sql.run(
          `INSERT INTO "JobRun" ("id", "projectId", "workflowId", "workflowVersionId", "environmentId", "runnerId", "status", "inputJson", "trigger", "originRunId", "rerun", "createdAt")
           VALUES (?, ?, ?, ?, ?, COALESCE(?, (SELECT "id" FROM "Runner" WHERE "name" = 'hosted')), 'QUEUED', ?, 'manual', ?, ?, ?)`,
          id,
          where.projectId,
          workflowId,
          versionId,
          where.environmentId,
          this.runnerId,
          JSON.stringify(input),
          rerun?.originRunId ?? null,
          rerun ? JSON.stringify(rerun.plan) : null,
          at,
        );
        for (const [position, { name, url = null, text = null }] of files.entries()) {
          const blob = text === null ? null : await this.blobs.put(Buffer.from(text));
          if (blob) {
            const known = `INSERT OR IGNORE INTO "InputBlob" ("sha256", "sizeBytes", "mime", "createdAt", "usedAt") VALUES (?, ?, 'text/plain', ?, ?)`;
            await tx.sql.run(known, blob.sha256, blob.sizeBytes, at, at);
          }
          await tx.sql.run(
            `INSERT INTO "InputFile" ("id", "jobRunId", "position", "name", "source", "url", "status", "sha256", "sizeBytes", "mime", "createdAt") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
            ...[newId("file", new Date()), id, position, name, url ? "url" : "upload", url],
            ...[blob ? "READY" : "FETCHING", blob?.sha256 ?? null, blob?.sizeBytes ?? null, blob && "text/plain", at],
          );
        }
        tx.ring("engine");
      });
      return id;
    };
  }

  /** Waits for the next thing that happens, or a moment. */
  async change(): Promise<void> {
    await this.db.bell("events").next(AbortSignal.timeout(20));
  }

  /** How a job stands, with its run's steps and their attempts as `key:STATUS(attempt statuses)`. */
  async look(
    jobId: string,
  ): Promise<{ job: string; run: string | null; steps: string[]; failure: { code: string; stepKey: string } | null }> {
    const job = await this.db.sql.get<{ status: string }>(`SELECT "status" FROM "JobRun" WHERE "id" = ?`, jobId);
    const run = await this.db.sql.get<{ id: string; status: string; failure: string | null }>(
      `SELECT "id", "status", "failure" FROM "Run" WHERE "jobRunId" = ?`,
      jobId,
    );
    const rows = await this.db.sql.all<{ key: string; status: string; attempts: string | null }>(
      `SELECT s."key", s."status", (SELECT group_concat(a."status", ' ') FROM (SELECT "status" FROM "Attempt" WHERE "runId" = s."runId" AND "stepKey" = s."key" ORDER BY "no") a) AS "attempts"
       FROM "RunStep" s WHERE s."runId" = ? ORDER BY s."position"`,
      run?.id ?? "",
    );
    const steps = rows.map((row) => `${row.key}:${row.status}${row.attempts ? `(${row.attempts})` : ""}`);
    return {
      job: job?.status ?? "?",
      run: run?.status ?? null,
      steps,
      failure: run?.failure ? JSON.parse(run.failure) : null,
    };
  }

  /** Waits until a job is as a test expects it. */
  async until(jobId: string, status: string, withinMs = 10_000): Promise<Awaited<ReturnType<World["look"]>>> {
    const deadline = performance.now() + withinMs;
    for (;;) {
      const rung = this.db.bell("events").next(AbortSignal.timeout(100));
      const seen = await this.look(jobId);
      if (seen.job === status) return seen;
      if (performance.now() > deadline) throw new Error(`job ${jobId} is not ${status}: ${JSON.stringify(seen)}`);
      await rung;
    }
  }

  /** Waits until something is so. `instead` tells what is, where that does not come to pass. */
  async comesTrue(isSo: () => Promise<boolean>, instead = async () => "it did not come to pass"): Promise<void> {
    const deadline = performance.now() + 10_000;
    while (!(await isSo())) {
      if (performance.now() > deadline) throw new Error(await instead());
      await this.change();
    }
  }

  /** Lets held steps go, those that come to be held meanwhile too, until a job has succeeded. */
  async released(jobId: string): Promise<Awaited<ReturnType<World["look"]>>> {
    for (;;) {
      this.executor.release();
      const seen = await this.look(jobId);
      if (seen.job === "SUCCEEDED") return seen;
      if (seen.job === "FAILED" || seen.job === "CANCELED") throw new Error(`the job ended: ${JSON.stringify(seen)}`);
      await this.change();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.executor.release();
    for (const engine of this.#engines) await engine[Symbol.asyncDispose]();
    await this.schemas[Symbol.asyncDispose]();
    await this.db[Symbol.asyncDispose]();
    await rm(this.folder, { recursive: true, force: true });
  }
}
