import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { createProject, type Db, keepBlob, openDb } from "@maia/db";
import { isMaiaError } from "@maia/domain";
import { openSchemaWorker } from "@maia/schema";
import type { Caller, IntakeContext } from "../src/context.js";
import { createJob, type JobOrigin } from "../src/create-job.js";
import { parseJobRequest } from "../src/job-request.js";
import type { Upload } from "../src/prepare-job.js";
import { publishWorkflow } from "../src/publish-workflow.js";
import type { Published } from "../src/store-workflow.js";

/** The moment at which tests happen. */
export const NOW = new Date("2026-11-21T12:00:00.000Z");

/** A caller who may do everything. */
export const anyone: Caller = { principal: "key_a", projects: null };

/** Intake on a database in a folder of its own, with a second project next to the default one. */
export interface Place extends AsyncDisposable {
  readonly context: IntakeContext;
  readonly db: Db;
  /** The ids of the projects `default` and `other`. */
  readonly projectId: string;
  readonly otherId: string;
}

export async function aPlace(): Promise<Place> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "maia-intake-"));
  const url = `file:${path.join(folder, "maia.db")}`;
  const db = await openDb({
    url,
    bellsDir: path.join(folder, "bells"),
    busyTimeoutMs: 100,
    retryBudgetMs: 5_000,
    now: () => NOW,
  });
  const schemas = openSchemaWorker({ validateMs: 500, maxBytes: 65_536, nodesMax: 2_000 });
  const { id: otherId } = await db.write((tx) => createProject(tx, "other", NOW));
  const project = await db.sql.get<{ id: string }>(`SELECT "id" FROM "Project" WHERE "name" = 'default'`);
  return {
    context: { db, schemas, idempotencyTtlMs: 1_000 },
    db,
    projectId: project!.id,
    otherId,
    [Symbol.asyncDispose]: async () => {
      await schemas[Symbol.asyncDispose]();
      await db[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
}

/** The smallest definition there is, with more in it. */
export function definition(more: object = {}): object {
  return { steps: [{ key: "say", script: "export default () => ({})" }], ...more };
}

/** Publishes a workflow in the default project. */
export function publish(place: Place, slug: string, more: object = {}, request: object = {}): Promise<Published> {
  const { context, projectId } = place;
  const base = { projectId, slug, definition: definition(more), publish: true, message: "", principal: "key_a" };
  return publishWorkflow(context, { ...base, ...request }, NOW);
}

export interface Asked {
  readonly caller?: Caller;
  readonly origin?: Partial<JobOrigin>;
  readonly uploads?: readonly Upload[];
  readonly now?: Date;
}

/** Asks for a job as `POST /v1/jobs` does. */
export function ask({ context }: Place, request: object, asked: Asked = {}) {
  const { caller = anyone, origin = {}, uploads = [], now = NOW } = asked;
  const from = { trigger: "manual" as const, idempotencyKey: null, ...origin };
  return createJob(context, parseJobRequest(request), uploads, caller, from, now);
}

/** How a refusal reads: its code, and each pointer. */
export async function refusal(attempt: Promise<unknown>): Promise<[string, ...string[]]> {
  try {
    await attempt;
  } catch (error) {
    if (isMaiaError(error)) return [error.code, ...error.issues.map(({ pointer }) => pointer)];
    throw error;
  }
  throw new Error("it was accepted");
}

/** Content that is known in a project. */
export async function aBlob(place: Place, projectId: string, sha256: string, mime = "text/csv"): Promise<string> {
  await place.db.write((tx) => keepBlob(tx, { sha256, sizeBytes: 7, mime }, projectId, NOW));
  return sha256;
}

export function count(place: Place, table: string): Promise<number> {
  return place.db.sql.get<{ n: number }>(`SELECT COUNT(*) AS "n" FROM "${table}"`).then((row) => row!.n);
}
