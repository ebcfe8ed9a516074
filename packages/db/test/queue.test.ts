import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { type Db, nextQueuedJobs, toDbTime } from "../src/index.js";
import { NOW, openTestDb } from "./support/place.js";

const WORKFLOWS = ["wf_a", "wf_b", "wf_c", "wf_d"];

interface Job {
  readonly id: string;
  readonly workflowId: string;
  readonly priority: number;
}

let db: Db;

beforeAll(async () => {
  db = await openTestDb();
  const at = toDbTime(NOW);
  await db.write(async ({ sql }) => {
    await sql.run(`INSERT INTO "Project" ("id", "name", "createdAt") VALUES ('prj_q', 'q', ?)`, at);
    await sql.run(
      `INSERT INTO "Environment" ("id", "projectId", "name", "createdAt", "updatedAt") VALUES ('env_q', 'prj_q', 'e', ?, ?)`,
      at,
      at,
    );
    await sql.run(
      `INSERT INTO "Runner" ("id", "name", "type", "platform", "track", "createdAt", "updatedAt") VALUES ('rnr_q', 'q', 'maia', 'hosted', 'current', ?, ?)`,
      at,
      at,
    );
    for (const id of WORKFLOWS) {
      const workflow = `INSERT INTO "Workflow" ("id", "projectId", "slug", "draft", "draftHash", "createdAt", "updatedAt") VALUES (?, 'prj_q', ?, '{}', '', ?, ?)`;
      await sql.run(workflow, id, id, at, at);
      const version = `INSERT INTO "WorkflowVersion" ("id", "workflowId", "version", "workflowSnap", "snapHash", "createdAt") VALUES (?, ?, 1, '{}', '', ?)`;
      await sql.run(version, `v_${id}`, id, at);
    }
  });
});
afterAll(async () => {
  await db[Symbol.asyncDispose]();
});

async function queue(jobs: readonly Job[]): Promise<void> {
  await db.write(async ({ sql }) => {
    await sql.run(`DELETE FROM "JobRun"`);
    for (const { id, workflowId, priority } of jobs) {
      await sql.run(
        `INSERT INTO "JobRun" ("id", "projectId", "workflowId", "workflowVersionId", "environmentId", "runnerId", "status", "priority", "inputJson", "trigger", "createdAt")
         VALUES (?, 'prj_q', ?, ?, 'env_q', 'rnr_q', 'QUEUED', ?, '{}', 'manual', ?)`,
        id,
        workflowId,
        `v_${workflowId}`,
        priority,
        toDbTime(NOW),
      );
    }
  });
}

const jobs = fc
  .array(fc.record({ workflowId: fc.constantFrom(...WORKFLOWS), priority: fc.constantFrom(-1, 0, 5) }), {
    maxLength: 40,
  })
  .map((drafts) => drafts.map((draft, i): Job => ({ ...draft, id: `job_${String(i).padStart(4, "0")}` })));
const next = async (limit: number, after: string | null = null) =>
  (await nextQueuedJobs(db.sql, "rnr_q", limit, after)).map(({ id }) => id);

describe("the queue", () => {
  it("gives as many jobs as there are, each once, higher priorities first, and each workflow's in order", async () => {
    const cases = fc.tuple(jobs, fc.integer({ min: 1, max: 50 }), fc.constantFrom(null, ...WORKFLOWS));
    await fc.assert(
      fc.asyncProperty(cases, async ([list, limit, after]) => {
        await queue(list);
        const found = (await next(limit, after)).map((id) => list.find((job) => job.id === id)!);
        expect(found).toHaveLength(Math.min(limit, list.length));
        expect(new Set(found).size).toBe(found.length);
        expect(found.map(({ priority }) => priority)).toEqual(
          found.map(({ priority }) => priority).sort((a, b) => b - a),
        );
        for (const workflowId of WORKFLOWS) {
          for (const priority of [5, 0, -1]) {
            const mine = (job: Job) => job.workflowId === workflowId && job.priority === priority;
            expect(found.filter(mine)).toEqual(list.filter(mine).slice(0, found.filter(mine).length));
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  it("lets no workflow wait for more than one turn of each other, whatever backlog they have", async () => {
    await fc.assert(
      fc.asyncProperty(jobs, async (drafts) => {
        let list = drafts.map((job) => ({ ...job, priority: 0 }));
        const waited = new Map<string, number>();
        for (let after: string | null = null; list.length > 0; ) {
          await queue(list);
          const [id] = await next(1, after);
          const served = list.find((job) => job.id === id)!;
          after = served.workflowId;
          list = list.filter((job) => job !== served);
          waited.set(after, 0);
          for (const other of new Set(list.map(({ workflowId }) => workflowId))) {
            if (other !== after) waited.set(other, (waited.get(other) ?? 0) + 1);
            expect(waited.get(other) ?? 0).toBeLessThan(WORKFLOWS.length);
          }
        }
      }),
      { numRuns: 25 },
    );
  });

  it("serves a workflow that came last before the rest of an old backlog", async () => {
    const backlog = Array.from({ length: 500 }, (_, i) => ({
      id: `job_${String(i).padStart(4, "0")}`,
      workflowId: "wf_a",
      priority: 0,
    }));
    await queue([...backlog, { id: "job_9999", workflowId: "wf_b", priority: 0 }]);
    expect(await next(3, "wf_a")).toEqual(["job_9999", "job_0000", "job_0001"]);
    expect(await next(500, "wf_a")).toContain("job_9999");
  });

  it("finds what is next without looking at the backlog", async () => {
    const plan = await db.sql.all<{ detail: string }>(
      `EXPLAIN QUERY PLAN SELECT min("workflowId") FROM "JobRun" WHERE "status" = 'QUEUED' AND "runnerId" = 'rnr_q' AND "priority" = 0 AND "workflowId" > 'x'`,
    );
    expect(plan.map(({ detail }) => detail).join("\n")).toMatch(/SEARCH .* USING COVERING INDEX .*workflowId>\?/);
  });
});
