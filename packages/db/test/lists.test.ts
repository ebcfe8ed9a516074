import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { firstIdAt, type JobRunStatus } from "@maia/domain";
import fc from "fast-check";
import { type Db, type JobFilter, listJobs, type PageOrder, type Scope, toDbTime } from "../src/index.js";
import { NOW, openTestDb } from "./support/place.js";

interface Job {
  readonly id: string;
  readonly projectId: string;
  readonly workflowId: string;
  readonly status: JobRunStatus;
  readonly priority: number;
  readonly labels: { readonly [name: string]: string };
  readonly batchId: string | null;
}

/** The moment that the oldest of the jobs was made at; each next one is a minute younger. */
const FIRST = Date.parse("2026-01-01T00:00:00.000Z");
const madeAt = (i: number) => new Date(FIRST + i * 60_000);
/** Jobs of a time are found by their ids, as those are made. */
const idAt = (i: number) => `${firstIdAt("job", madeAt(i))}0000000000000000`;

const projects = ["prj_a", "prj_b", "prj_c"] as const;
/** More than one look, so that a walk goes on after it. */
const COUNT = 7_000;

/** Jobs in which some things are rare, and others are not in sight for a long while. */
function jobOf(i: number): Job {
  const projectId = i % 997 === 0 ? "prj_c" : i % 5 === 0 ? "prj_b" : "prj_a";
  return {
    id: idAt(i),
    projectId,
    workflowId: `wf_${projectId.at(-1)}${i % 3}`,
    status: i > COUNT - 20 ? "QUEUED" : i % 2_500 === 7 ? "FAILED" : "SUCCEEDED",
    priority: i % 11 === 0 ? 5 : i % 13 === 0 ? -1 : 0,
    labels: i % 3_001 === 1 ? { team: "etl", "a b": 'quote "x"' } : { team: i % 2 === 0 ? "ops" : "web" },
    batchId: i % 100 === 0 ? "bat_1" : null,
  };
}

const jobs = Array.from({ length: COUNT }, (_, i) => jobOf(i)).reverse();
let db: Db;

beforeAll(async () => {
  db = await openTestDb();
  await db.write(async (tx) => {
    await insertWorkflows(tx.sql);
    for (const job of jobs) await insertJob(tx.sql, job);
  });
});

afterAll(async () => {
  await db[Symbol.asyncDispose]();
});

async function insertWorkflows(sql: Db["sql"]): Promise<void> {
  const at = toDbTime(NOW);
  for (const id of projects) {
    await sql.run(`INSERT INTO "Project" ("id", "name", "createdAt") VALUES (?, ?, ?)`, id, id, at);
    await sql.run(
      `INSERT INTO "Environment" ("id", "projectId", "name", "createdAt", "updatedAt") VALUES (?, ?, 'default', ?, ?)`,
      `env_${id}`,
      id,
      at,
      at,
    );
    for (let n = 0; n < 3; n++) {
      const workflowId = `wf_${id.at(-1)}${n}`;
      await sql.run(
        `INSERT INTO "Workflow" ("id", "projectId", "slug", "draft", "draftHash", "createdAt", "updatedAt") VALUES (?, ?, ?, '{}', '', ?, ?)`,
        workflowId,
        id,
        `w${n}`,
        at,
        at,
      );
      await sql.run(
        `INSERT INTO "WorkflowVersion" ("id", "workflowId", "version", "workflowSnap", "snapHash", "createdAt") VALUES (?, ?, 1, '{}', '', ?)`,
        `v_${workflowId}`,
        workflowId,
        at,
      );
    }
  }
  await sql.run(
    `INSERT INTO "Batch" ("id", "projectId", "workflowId", "workflowVersionId", "environmentId", "status", "itemsSha256", "itemCount", "concurrency", "createdAt")
     VALUES ('bat_1', 'prj_a', 'wf_a0', 'v_wf_a0', 'env_prj_a', 'RUNNING', '', 1, 1, ?)`,
    at,
  );
}

async function insertJob(sql: Db["sql"], job: Job): Promise<void> {
  await sql.run(
    `INSERT INTO "JobRun" ("id", "projectId", "workflowId", "workflowVersionId", "environmentId", "status", "priority", "inputJson", "labels", "trigger", "batchId", "itemIndex", "createdAt")
     VALUES (?, ?, ?, ?, ?, ?, ?, '{}', ?, 'manual', ?, ?, ?)`,
    job.id,
    job.projectId,
    job.workflowId,
    `v_${job.workflowId}`,
    `env_${job.projectId}`,
    job.status,
    job.priority,
    JSON.stringify(job.labels),
    job.batchId,
    job.batchId && jobs.indexOf(job),
    toDbTime(NOW),
  );
}

/** What a list should hold, by looking at every job. */
function expected(scope: Scope, filter: JobFilter): string[] {
  const { projectId, status, workflowId, batchId, label, q, made } = filter;
  const isWanted = (job: Job) =>
    (scope === null || scope.includes(job.projectId)) &&
    (projectId === undefined || job.projectId === projectId) &&
    (status === undefined || job.status === status) &&
    (workflowId === undefined || job.workflowId === workflowId) &&
    (batchId === undefined || job.batchId === batchId) &&
    (q === undefined || `w${job.workflowId.at(-1)}`.includes(q)) &&
    (!made?.from || job.id >= firstIdAt("job", made.from)) &&
    (!made?.before || job.id < firstIdAt("job", made.before)) &&
    (!label || (label.name in job.labels && (label.value === null || job.labels[label.name] === label.value)));
  return jobs.filter(isWanted).map(({ id }) => id);
}

async function allPages(scope: Scope, filter: JobFilter, limit: number, order?: PageOrder): Promise<string[]> {
  const found: string[] = [];
  for (let cursor: string | null = null; ; ) {
    const page = await listJobs(db, scope, filter, { limit, cursor, order });
    expect(page.items.length).toBeLessThanOrEqual(limit);
    found.push(...page.items.map(({ id }) => id));
    if (page.nextCursor === null) return found;
    expect(page.items).toHaveLength(limit);
    cursor = page.nextCursor;
  }
}

const maybe = <T>(...values: T[]) => fc.option(fc.constantFrom(...values), { nil: undefined });

describe("the list of jobs", () => {
  it("holds exactly what it is narrowed to, in the order that is asked for, whole page by whole page", async () => {
    const scopes = fc.constantFrom<Scope>(null, projects, ["prj_b"], ["prj_c", "prj_b"], []);
    const filters = fc.record({
      projectId: maybe("prj_b", "prj_c"),
      status: maybe<JobRunStatus>("SUCCEEDED", "FAILED", "QUEUED", "CANCELED"),
      workflowId: maybe("wf_a1", "wf_c0", "wf_none"),
      batchId: maybe("bat_1"),
      q: maybe("w", "1", "nothing", "_", "%"),
      made: maybe({ from: madeAt(100) }, { before: madeAt(5_000) }, { from: madeAt(6_000), before: madeAt(6_010) }),
      label: maybe({ name: "team", value: "etl" }, { name: "a b", value: 'quote "x"' }, { name: "team", value: null }),
    });
    const orders = fc.constantFrom<PageOrder | undefined>("asc", "desc", undefined);
    const check = async (scope: Scope, filter: JobFilter, order: PageOrder | undefined) => {
      const inScope = filter.projectId === undefined || scope === null || scope.includes(filter.projectId);
      if (!inScope) return; // who may not see a project does not get to name it
      const all = expected(scope, filter);
      expect(await allPages(scope, filter, 100, order)).toEqual(order === "asc" ? all.reverse() : all);
    };
    await fc.assert(fc.asyncProperty(scopes, filters, orders, check), { numRuns: 100 });
  });

  it("has no cursor after a last page that is just full", async () => {
    const of = { status: "FAILED" } as const;
    const { length } = expected(null, of);
    expect((await listJobs(db, null, of, { limit: length, cursor: null })).nextCursor).toBeNull();
    expect((await listJobs(db, null, of, { limit: length - 1, cursor: null })).nextCursor).not.toBeNull();
  });

  it("refuses cursors that it did not make", async () => {
    for (const cursor of [
      "",
      "garbage",
      "am9i",
      Buffer.from("run_1").toString("base64url"),
      `${Buffer.from("job_1").toString("base64url")}=`,
    ]) {
      await expect(listJobs(db, null, {}, { limit: 1, cursor })).rejects.toMatchObject({ code: "BAD_CURSOR" });
    }
  });

  it("lets others have their turn while it looks far", async () => {
    let turns = 0;
    const count = () => {
      turns++;
      timer = setImmediate(count);
    };
    let timer = setImmediate(count);
    await listJobs(db, null, { label: { name: "nobody", value: null } }, { limit: 25, cursor: null });
    clearImmediate(timer);
    expect(turns).toBeGreaterThan(1);
  });
});
