import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import { type AttemptRef, type Db, insertAttempt, insertRun, type OwnedRun, openDb } from "@maia/db";
import { newId } from "@maia/domain";
import type { Frame } from "@maia/runner-protocol";
import fc from "fast-check";
import { recordFrames } from "../src/record-frames.js";

const NOW = new Date("2026-11-21T12:00:00.000Z");
const AT = NOW.toISOString();
let folder: string;
let db: Db;
let attempt: AttemptRef;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "maia-record-"));
  db = await openDb({
    url: `file:${folder}/maia.db`,
    bellsDir: `${folder}/bells`,
    busyTimeoutMs: 100,
    retryBudgetMs: 5_000,
  });
});

afterAll(async () => {
  await db[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

beforeEach(async () => {
  attempt = await anAttempt();
});

/** An attempt of a fresh run, DISPATCHING. */
async function anAttempt(): Promise<AttemptRef> {
  const id = newId("job", NOW);
  return db.write(async (tx) => {
    const project = await tx.sql.get<{ id: string }>(`SELECT "id" FROM "Project" WHERE "name" = 'default'`);
    const environment = await tx.sql.get<{ id: string }>(
      `SELECT "id" FROM "Environment" WHERE "projectId" = ?`,
      project!.id,
    );
    await tx.sql.run(
      `INSERT INTO "Workflow" ("id", "projectId", "slug", "draft", "draftHash", "createdAt", "updatedAt") VALUES (?, ?, ?, '{}', '', ?, ?)`,
      `wf_${id}`,
      project!.id,
      `slug-${id}`,
      AT,
      AT,
    );
    await tx.sql.run(
      `INSERT INTO "WorkflowVersion" ("id", "workflowId", "version", "workflowSnap", "snapHash", "createdAt") VALUES (?, ?, 1, '{}', '', ?)`,
      `wfv_${id}`,
      `wf_${id}`,
      AT,
    );
    await tx.sql.run(
      `INSERT INTO "JobRun" ("id", "projectId", "workflowId", "workflowVersionId", "environmentId", "runnerId", "status", "inputJson", "trigger", "createdAt")
       VALUES (?, ?, ?, ?, ?, (SELECT "id" FROM "Runner" WHERE "name" = 'hosted'), 'RUNNING', '{}', 'manual', ?)`,
      id,
      project!.id,
      `wf_${id}`,
      `wfv_${id}`,
      environment!.id,
      AT,
    );
    const run: OwnedRun = {
      id: newId("run", NOW),
      jobId: id,
      projectId: project!.id,
      workflowId: `wf_${id}`,
      versionId: `wfv_${id}`,
      runnerId: "rnr_1",
      dataResidency: "maia",
      epoch: 1,
    };
    await insertRun(tx, { ...run, ownerId: "eng_1", status: "RUNNING", initialInput: "{}", stepKeys: ["a"] }, NOW);
    const fresh = {
      id: newId("attempt", NOW),
      stepKey: "a",
      no: 1,
      token: "t",
      engineId: "eng_1",
      runnerId: null,
      ledgerId: "l",
    };
    return insertAttempt(tx, run, fresh, NOW);
  });
}

function session(lines: number): Frame[] {
  const frames: Frame[] = [{ type: "started", seq: 1, attemptId: attempt.id, epoch: 1, pid: 7, isolation: "sandbox" }];
  for (let i = 1; i <= lines; i++)
    frames.push({ type: "log", seq: i + 1, stream: "stdout", line: `line ${i}`, at: AT });
  frames.push({ type: "output", seq: lines + 2, data: { lines } });
  frames.push({ type: "exit", lastSeq: lines + 2, exitCode: 0, signal: null, reason: "exited", error: null });
  return frames;
}

async function storedLines(): Promise<string[]> {
  const rows = await db.sql.all<{ data: string }>(
    `SELECT "data" FROM "LogEvent" WHERE "attemptId" = ? ORDER BY "id"`,
    attempt.id,
  );
  return rows.flatMap((row) => JSON.parse(row.data).lines.map((line: { line: string }) => line.line));
}

const record = (frames: readonly Frame[], ref = attempt) => db.write((tx) => recordFrames(tx, ref, frames, NOW));

describe("recording frames", () => {
  it("keeps each line once and in order however a stream is cut, resumed and overlapped (G14)", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ back: fc.nat(5), take: fc.integer({ min: 1, max: 9 }) }), { maxLength: 20 }),
        async (cuts) => {
          attempt = await anAttempt();
          const frames = session(30);
          let at = 0;
          for (const { back, take } of cuts) {
            const from = Math.max(0, at - back);
            const batch = frames.slice(from, at + take).filter((frame) => frame.type !== "exit");
            await record(batch);
            at = Math.min(frames.length - 1, at + take);
          }
          const recorded = await record(frames.slice(Math.max(0, at - 1)));
          expect(recorded).toMatchObject({ kind: "ended", lastSeq: 32, hasOutput: true });
          expect(await storedLines()).toEqual(Array.from({ length: 30 }, (_, i) => `line ${i + 1}`));
        },
      ),
      { numRuns: 50 },
    );
  });

  it("asks again from where frames are missing, and keeps what came before the gap (G8)", async () => {
    const frames = session(5);
    expect(await record([...frames.slice(0, 3), ...frames.slice(4)])).toEqual({ kind: "gap", fromSeq: 4 });
    expect(await storedLines()).toEqual(["line 1", "line 2"]);
  });

  it("takes no exit that accounts for more frames than have come (G8)", async () => {
    const frames = session(5);
    expect(await record([...frames.slice(0, 3), frames.at(-1)!])).toEqual({ kind: "gap", fromSeq: 4 });
  });

  it("refuses frames under an older epoch, and writes nothing (G7)", async () => {
    await db.write((tx) => tx.sql.run(`UPDATE "Attempt" SET "epoch" = 2 WHERE "id" = ?`, attempt.id));
    expect(await record(session(3))).toEqual({ kind: "refused" });
    expect(await storedLines()).toEqual([]);
    expect(await record(session(3), { ...attempt, epoch: 2 })).toMatchObject({ kind: "ended" });
  });

  it("counts an output that was recorded before the stream broke off as proof", async () => {
    const frames = session(2);
    expect(await record(frames.slice(0, 4))).toEqual({ kind: "taken", lastSeq: 4 });
    expect(await record(frames.slice(4))).toMatchObject({ kind: "ended", hasOutput: true });
  });

  it("puts a long batch of lines into few events", async () => {
    await record(session(10_000));
    const rows = await db.sql.all<{ fromSeq: number; toSeq: number }>(
      `SELECT "fromSeq", "toSeq" FROM "LogEvent" WHERE "attemptId" = ? ORDER BY "id"`,
      attempt.id,
    );
    expect(rows.length).toBeLessThanOrEqual(6);
    expect(rows.map((row) => row.fromSeq)).toEqual([2, ...rows.slice(0, -1).map((row) => row.toSeq + 1)]);
  });
});
