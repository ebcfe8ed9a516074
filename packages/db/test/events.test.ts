import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { lastEventId, oldestEventId, readEventsAfter } from "../src/events.js";
import type { Db } from "../src/types.js";
import { openTestDb } from "./support/place.js";

let db: Db;

beforeAll(async () => {
  db = await openTestDb();
});
afterAll(async () => {
  await db[Symbol.asyncDispose]();
});

describe("reading events", () => {
  it("finds none and no ids before the first", async () => {
    expect(await readEventsAfter(db, null, 0, 10)).toEqual([]);
    expect([await lastEventId(db), await oldestEventId(db)]).toEqual([0, null]);
  });

  it("gives every event after a cursor in order, of all runs or of one, of all kinds or of some (G15)", async () => {
    await db.write(async (tx) => {
      for (let i = 0; i < 30; i++) {
        const runId = `run_${i % 3}`;
        if (i % 2 === 0) await tx.event("log_line", { runId }, { runId, stepKey: "s", attemptNo: 1, lines: [] });
        else
          await tx.event(
            "runner_status",
            { runId, projectId: "prj_p" },
            { runnerId: String(i), status: "RUNNING", at: "" },
          );
      }
    });
    const all = await readEventsAfter(db, null, 0, 100);
    expect(all.map(({ id }) => id)).toEqual(Array.from({ length: 30 }, (_, i) => i + 1));
    expect(all[1]).toEqual({
      id: 2,
      runId: "run_1",
      projectId: "prj_p",
      kind: "runner_status",
      data: `{"runnerId":"1","status":"RUNNING","at":""}`,
    });
    expect(await readEventsAfter(db, null, 5, 3)).toEqual(all.slice(5, 8));
    expect(await readEventsAfter(db, "run_2", 6, 100)).toEqual(all.slice(6).filter(({ runId }) => runId === "run_2"));
    const statuses = all.filter(({ kind }) => kind === "runner_status");
    expect(await readEventsAfter(db, null, 3, 5, ["runner_status", "job_status"])).toEqual(statuses.slice(1, 6));
    expect(await readEventsAfter(db, null, 0, 100, ["runner_status", "log_line"])).toEqual(all);
    expect(await readEventsAfter(db, "run_1", 0, 100, ["runner_status"])).toEqual(
      statuses.filter(({ runId }) => runId === "run_1"),
    );
    expect(await readEventsAfter(db, null, 0, 100, [])).toEqual([]);
    expect([await lastEventId(db), await oldestEventId(db), await oldestEventId(db, "run_2")]).toEqual([30, 1, 3]);
  });

  it("reads the rare kinds along an index, whatever lies between them", async () => {
    const text = `EXPLAIN QUERY PLAN SELECT * FROM (SELECT "id" FROM "LogEvent" WHERE "kind" = ? AND "id" > ? ORDER BY "id" LIMIT ?) AS "one"`;
    const plan = await db.sql.all<{ detail: string }>(text, "run_status", 0, 10);
    expect(plan.map(({ detail }) => detail).join("\n")).toContain("(kind=? AND id>?)");
    expect(plan.map(({ detail }) => detail).join("\n")).not.toContain("TEMP B-TREE");
  });
});
