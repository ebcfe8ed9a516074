import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import {
  type Db,
  listJobs,
  listRuns,
  listWorkflows,
  nextQueuedJobs,
  queueDeadlines,
  type Sql,
  type SqlValue,
  workflowActivity,
} from "../src/index.js";
import { openTestDb } from "./support/place.js";

let db: Db;

beforeAll(async () => {
  db = await openTestDb();
});

afterAll(async () => {
  await db[Symbol.asyncDispose]();
});

/** How the database goes about what a piece of code asks of it. */
async function plans(ask: (sql: Sql) => Promise<unknown>): Promise<string[]> {
  const texts: [string, SqlValue[]][] = [];
  const noted =
    <K extends "get" | "all">(how: K) =>
    (text: string, ...values: SqlValue[]) => {
      texts.push([text, values]);
      return db.sql[how](text, ...values) as never;
    };
  await ask({ get: noted("get"), all: noted("all"), run: db.sql.run });
  const details = await Promise.all(
    texts.map(([text, values]) => db.sql.all<{ detail: string }>(`EXPLAIN QUERY PLAN ${text}`, ...values)),
  );
  return details.flat().map(({ detail }) => detail);
}

/** What passes every row of a table that grows with each run, or sorts what it has found of one. */
const SLOW = /^SCAN (JobRun|Run|LogEvent)\b(?! USING (COVERING )?INDEX sqlite_autoindex)|USE TEMP B-TREE FOR ORDER BY/;

const page = { limit: 25, cursor: null };
const withSql = (sql: Sql): Db => ({ ...db, sql, models: db.models });

describe("with a million finished runs", () => {
  it.each([
    ["all jobs", (sql: Sql) => listJobs(withSql(sql), null, {}, page)],
    ["jobs of a status", (sql: Sql) => listJobs(withSql(sql), null, { status: "FAILED" }, page)],
    ["jobs of a workflow", (sql: Sql) => listJobs(withSql(sql), null, { workflowId: "wf_1", status: "FAILED" }, page)],
    ["all runs", (sql: Sql) => listRuns(withSql(sql), null, {}, page)],
    ["runs of a status", (sql: Sql) => listRuns(withSql(sql), null, { status: "RUNNING" }, page)],
    [
      "runs of a status, from the oldest",
      (sql: Sql) => listRuns(withSql(sql), null, { status: "FAILED" }, { ...page, order: "asc" }),
    ],
    ["runs of a project", (sql: Sql) => listRuns(withSql(sql), ["prj_1"], {}, page)],
    [
      "runs of a workflow and a status",
      (sql: Sql) => listRuns(withSql(sql), null, { workflowId: "wf_1", status: "FAILED" }, page),
    ],
    ["the queue", (sql: Sql) => nextQueuedJobs(sql, "rnr_1", 10)],
    ["the deadlines in the queue", (sql: Sql) => queueDeadlines(sql, 10)],
  ] as const)("%s are found along an index", async (_what, ask) => {
    const found = await plans(ask as (sql: Sql) => Promise<unknown>);
    expect(found.length).toBeGreaterThan(0);
    expect(found.filter((detail) => SLOW.test(detail))).toEqual([]);
  });

  it("the activity of a workflow is told from indexes alone", async () => {
    const found = await plans((sql) => workflowActivity(sql, ["wf_1"]));
    const looked = found.filter((detail) => /(JobRun|Run) USING/.test(detail));
    expect(looked).toHaveLength(7); // runs of each status, and jobs that wait or run
    expect(looked.filter((detail) => !detail.includes("COVERING INDEX"))).toEqual([]);
  });

  it("the queue goes by its own index, and the list of workflows looks at no run", async () => {
    const queue = await plans((sql) => nextQueuedJobs(sql, "rnr_1", 10));
    expect(queue.join()).toMatch(/JobRun_\w*priority_workflowId_id_idx/);
    const workflows = await plans((sql) => listWorkflows(withSql(sql), null, { q: "x" }, page, "name"));
    expect(workflows.filter((detail) => /Run/.test(detail))).toEqual([]);
  });
});
