import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { type LogQuery, readLogLines } from "../src/log-lines.js";
import type { Db } from "../src/types.js";
import { aRun } from "./support/a-run.js";
import { openTestDb } from "./support/place.js";

const RUN = "run_a";
let db: Db;

beforeAll(async () => {
  db = await openTestDb();
  await lines("quiet", 1, 1, ["Ärger im Paradies", "ready"]);
  for (let i = 0; i < 40; i++) await lines("loud", 1, i * 3 + 1, [`out ${i}`, `err ${i}`, `100% ${i}`]);
  await lines("quiet", 1, 3, ["last of the first"]);
  await lines("quiet", 2, 1, ["again"]);
  await db.write((tx) =>
    tx.event("run_status", { runId: RUN }, { runId: RUN, jobId: "j", status: "RUNNING", epoch: 1, at: "" }),
  );
});
afterAll(async () => {
  await db[Symbol.asyncDispose]();
});

/** Records lines of an attempt; every second one is of stderr. */
function lines(
  stepKey: string,
  attemptNo: number,
  fromSeq: number,
  texts: readonly string[],
  runId = RUN,
): Promise<void> {
  const at = "2026-11-21T12:00:00.000Z";
  const logged = texts.map((line, i) => {
    const stream = i % 2 === 0 ? ("stdout" as const) : ("stderr" as const);
    return { seq: fromSeq + i, at, stream, line };
  });
  const attemptId = `att_${runId}_${stepKey}_${attemptNo}`;
  const toSeq = fromSeq + texts.length - 1;
  return db.write((tx) =>
    tx.event("log_line", { runId, attemptId, fromSeq, toSeq }, { runId, stepKey, attemptNo, lines: logged }),
  );
}

/** All pages of a query. */
async function all(query: Partial<LogQuery>, limit = 7): Promise<string[]> {
  const found: string[] = [];
  for (let cursor: string | null = null, quiet = 0; quiet < 1; ) {
    const page = await readLogLines(db, { runId: RUN, limit, cursor, ...query });
    expect(page.items.length).toBeLessThanOrEqual(limit);
    found.push(...page.items.map(({ line }) => line));
    if (page.items.length === 0 || page.nextCursor === null) quiet += 1;
    cursor = page.nextCursor;
  }
  return found;
}

const loud = Array.from({ length: 40 }, (_, i) => [`out ${i}`, `err ${i}`, `100% ${i}`]).flat();
const everything = ["Ärger im Paradies", "ready", ...loud, "last of the first", "again"];

describe("reading a log", () => {
  it("gives every line once and in order, whatever the size of the pages", async () => {
    for (const limit of [1, 2, 3, 50, 1_000]) expect(await all({}, limit)).toEqual(everything);
  });

  it("gives the same backwards", async () => {
    for (const limit of [1, 4, 1_000]) expect(await all({ order: "desc" }, limit)).toEqual([...everything].reverse());
  });

  it("says of each line where it came from", async () => {
    const { items } = await readLogLines(db, { runId: RUN, limit: 2 });
    const at = "2026-11-21T12:00:00.000Z";
    expect(items[1]).toEqual({ at, stepKey: "quiet", attemptNo: 1, seq: 2, stream: "stderr", line: "ready" });
  });

  it("finds by stream, and by text in whatever case", async () => {
    expect(await all({ stream: "stderr" })).toEqual(["ready", ...loud.filter((line) => line.startsWith("err"))]);
    expect(await all({ q: "äRGER" })).toEqual(["Ärger im Paradies"]);
    expect(await all({ q: "100% 3" }, 3)).toEqual(loud.filter((line) => line.startsWith("100% 3")));
    expect(await all({ q: "%_" })).toEqual([]);
    expect(await all({ attemptNo: 2 })).toEqual(["again"]);
  });

  it("goes on from a cursor in the other direction", async () => {
    const { nextCursor } = await readLogLines(db, { runId: RUN, limit: 4 });
    const back = await readLogLines(db, { runId: RUN, limit: 3, cursor: nextCursor, order: "desc" });
    expect(back.items.map(({ line }) => line)).toEqual(everything.slice(1, 4).reverse());
  });

  it("has a cursor at the end of a run that goes on, from which new lines follow", async () => {
    const runId = "run_open";
    await aRun(db, runId);
    const empty = await readLogLines(db, { runId, limit: 10 });
    await lines("s", 1, 1, ["a", "b"], runId);
    const first = await readLogLines(db, { runId, limit: 10, cursor: empty.nextCursor });
    await lines("s", 1, 3, ["c"], runId);
    const second = await readLogLines(db, { runId, limit: 10, cursor: first.nextCursor });
    expect([empty, first, second].map(({ items }) => items.map(({ line }) => line))).toEqual([[], ["a", "b"], ["c"]]);
    await db.write((tx) => tx.sql.run(`UPDATE "Run" SET "status" = 'SUCCEEDED' WHERE "id" = ?`, runId));
    expect(await readLogLines(db, { runId, limit: 10, cursor: second.nextCursor })).toEqual({
      items: [],
      nextCursor: null,
    });
  });

  it("reads a step attempt by attempt, back and forth, without looking at the others", async () => {
    const runId = "run_steps";
    await aRun(db, runId, { quiet: 2, loud: 1 });
    await lines("quiet", 1, 1, ["q1", "q2"], runId);
    for (let i = 0; i < 60; i++) await lines("loud", 1, i + 1, [`l${i}`], runId);
    for (let i = 0; i < 40; i++) await lines("quiet", 1, i + 3, [`q${i + 3}`], runId);
    await lines("quiet", 2, 1, ["r1", "r2"], runId);
    const quiet = [...Array.from({ length: 42 }, (_, i) => `q${i + 1}`), "r1", "r2"];
    for (const limit of [1, 5, 100]) {
      expect(await all({ runId, stepKey: "quiet" }, limit)).toEqual(quiet);
      expect(await all({ runId, stepKey: "quiet", order: "desc" }, limit)).toEqual([...quiet].reverse());
      expect(await all({ runId, stepKey: "quiet", attemptNo: 2 }, limit)).toEqual(["r1", "r2"]);
    }
    expect(await all({ runId, stepKey: "missing" })).toEqual([]);
  });

  it("looks through a bounded part of a long log for one page", async () => {
    const runId = "run_long";
    for (let i = 0; i < 8; i++) await lines("s", 1, i + 1, [i === 7 ? "needle" : "x".repeat(1_000_000)], runId);
    const first = await readLogLines(db, { runId, limit: 10, q: "needle" });
    expect(first.items).toEqual([]);
    const second = await readLogLines(db, { runId, limit: 10, q: "needle", cursor: first.nextCursor });
    expect(second.items.map(({ line }) => line)).toEqual(["needle"]);
  });

  it.each([
    "x",
    "MS4",
    "MS4xMA==",
    Buffer.from("1.2 ").toString("base64url"),
    Buffer.from("-1.0").toString("base64url"),
    "é",
  ])("refuses the cursor %s", async (cursor) => {
    await expect(readLogLines(db, { runId: RUN, limit: 10, cursor })).rejects.toMatchObject({ code: "BAD_CURSOR" });
  });
});
