import { readdir, utimes } from "node:fs/promises";
import { Readable } from "node:stream";
import { describe, expect, it } from "@jest/globals";
import { readRunnerFacts, toDbTime } from "@maia/db";
import { runnerStatus } from "@maia/domain";
import { type Logger, readConstants } from "@maia/service";
import { Housekeeper } from "../src/housekeeper.js";
import { Fleet } from "./support/fleet.js";
import { World } from "./support/world.js";

const quiet: Logger = { error() {}, warn() {}, info() {}, debug() {}, child: () => quiet };
const DAY = 86_400_000;
const TABLES = ["JobRun", "Run", "RunStep", "Attempt", "Artifact", "InputFile"];

function housekeeper(world: World, env: Record<string, string>, now = new Date()): Housekeeper {
  const { db, blobs } = world;
  return new Housekeeper({
    db,
    blobs,
    clock: () => now,
    logger: quiet,
    constants: readConstants(env),
    engineId: () => "",
  });
}

async function counts(world: World): Promise<number[]> {
  return Promise.all(
    TABLES.map(async (table) => (await world.db.sql.get<{ n: number }>(`SELECT count(*) AS "n" FROM "${table}"`))!.n),
  );
}

const later = (ms: number) => new Date(Date.now() + ms);

describe("a sweep", () => {
  it("deletes jobs that ended longer ago than they are kept, with all that is told of them, and no others", async () => {
    await using world = await World.open();
    const queue = await world.workflow("files", [{ key: "a", script: "ok" }]);
    const held = await world.workflow("held", [{ key: "a", script: "hold" }]);
    await world.engine();
    const ended = await queue({}, [{ name: "f", text: "old" }]);
    await world.until(ended, "SUCCEEDED");
    const running = await held();
    await world.until(running, "RUNNING");
    expect(await housekeeper(world, { MAIA_RETENTION_MS: String(DAY) }).sweep()).toEqual({ jobs: 0, blobs: 0 });
    const before = await counts(world);
    expect(before[0]).toBe(2);
    const swept = await housekeeper(world, { MAIA_RETENTION_MS: String(DAY) }, later(2 * DAY)).sweep();
    expect(swept.jobs).toBe(1);
    expect((await world.look(ended)).job).toBe("?");
    expect((await world.look(running)).job).toBe("RUNNING");
    expect((await counts(world))[5]).toBe(0);
    const events = await world.db.sql.all<{ runId: string | null }>(`SELECT DISTINCT "runId" FROM "LogEvent"`);
    expect(events).toHaveLength(1); // the running one's: those of no run that are older are told to nobody any more
    world.executor.release();
  });

  it("keeps a run while another one has results of it, or waits to have them, and then lets both go", async () => {
    await using world = await World.open();
    const queue = await world.workflow("chain", [
      { key: "a", script: "ok" },
      { key: "b", script: "ok", deps: ["a"] },
    ]);
    const engine = await world.engine();
    const first = await queue();
    await world.until(first, "SUCCEEDED");
    const run = await world.db.sql.get<{ id: string }>(`SELECT "id" FROM "Run" WHERE "jobRunId" = ?`, first);
    await world.stop(engine);
    const rerun = { originRunId: run!.id, plan: { kind: "from" as const, from: "b" } };
    const second = await queue({}, [], rerun);
    const sweep = () => housekeeper(world, { MAIA_RETENTION_MS: String(DAY) }, later(2 * DAY)).sweep();
    expect((await sweep()).jobs).toBe(0); // the re-run waits
    await world.engine();
    expect((await world.until(second, "SUCCEEDED")).steps).toEqual(["a:SUCCEEDED", "b:SUCCEEDED(SUCCEEDED)"]);
    expect((await sweep()).jobs).toBe(2); // first the re-run, whose results nobody has, then the run that it came from
    expect((await counts(world)).slice(0, 4)).toEqual([0, 0, 0, 0]);
  });

  it("removes content that nobody refers to once it is old, and keeps all other (G18, F03)", async () => {
    await using world = await World.open();
    const queue = await world.workflow("files", [{ key: "a", script: "ok" }]);
    await world.engine();
    await world.until(await queue({}, [{ name: "f", text: "referred to" }]), "SUCCEEDED");
    const kept = (await world.db.sql.get<{ sha256: string }>(`SELECT "sha256" FROM "InputFile"`))!.sha256;
    const stray = (await world.blobs.put(Buffer.from("a row was never written"))).sha256;
    const known = (await world.blobs.put(Buffer.from("uploaded, and never used"))).sha256;
    await world.db.write((tx) =>
      tx.sql.run(
        `INSERT INTO "InputBlob" ("sha256", "sizeBytes", "mime", "createdAt", "usedAt") VALUES (?, 1, 'x', ?, ?)`,
        known,
        toDbTime(new Date()),
        toDbTime(new Date()),
      ),
    );
    const young = (await world.blobs.put(Buffer.from("young"))).sha256;
    for (const sha256 of [kept, stray, known]) await utimes(world.blobs.path(sha256), 1, 1);
    expect((await housekeeper(world, {}).sweep()).blobs).toBe(1);
    expect(await Promise.all([kept, stray, known, young].map((sha256) => world.blobs.has(sha256)))).toEqual([
      ...[true, false, true, true],
    ]);
    expect((await housekeeper(world, {}, later(DAY)).sweep()).blobs).toBe(2);
    expect(await Promise.all([kept, known, young].map((sha256) => world.blobs.has(sha256)))).toEqual([
      ...[true, false, false],
    ]);
  });

  it("forgets uploads that were never brought to their end, once they have rested for long", async () => {
    await using world = await World.open();
    const upload = { scope: "prj_a", sha256: "a".repeat(64) };
    await world.blobs.putPart(upload, { from: 0, to: 4, bytes: Readable.from([Buffer.from("some")]) }, 1_000);
    await housekeeper(world, {}, later(DAY - 60_000)).sweep();
    expect(await world.blobs.uploads.offset(upload)).toBe(4);
    await housekeeper(world, {}, later(DAY + 60_000)).sweep();
    expect(await world.blobs.uploads.offset(upload)).toBe(0);
    expect(await readdir(`${world.folder}/tmp`)).toEqual([]);
  });

  it("deletes the oldest jobs where there is too much, and gives the room back to the disk", async () => {
    await using world = await World.open();
    const queue = await world.workflow("many", [{ key: "a", script: "ok" }]);
    await world.engine();
    const jobs = [];
    for (let i = 0; i < 12; i++) {
      jobs.push(await queue());
      await world.until(jobs.at(-1)!, "SUCCEEDED");
    }
    const line = JSON.stringify({ lines: "x".repeat(100_000) });
    await world.db.write(async ({ sql }) => {
      const rows = await sql.all<{ id: string; runId: string }>(`SELECT "id", "runId" FROM "Attempt"`);
      for (const { id, runId } of rows) {
        for (let seq = 10; seq < 40; seq++) {
          const text = `INSERT INTO "LogEvent" ("runId", "kind", "attemptId", "fromSeq", "toSeq", "data") VALUES (?, 'log_line', ?, ?, ?, ?)`;
          await sql.run(text, runId, id, seq, seq, line);
        }
      }
    });
    const fileBytes = async () => {
      const row = await world.db.sql.get<{ page_count: number }>(`PRAGMA page_count`);
      return row!.page_count * 4_096;
    };
    expect(await fileBytes()).toBeGreaterThan(30_000_000);
    const swept = await housekeeper(world, { MAIA_RETENTION_MAX: "20000000" }).sweep();
    expect(swept.jobs).toBeGreaterThan(0);
    expect(swept.jobs).toBeLessThan(12);
    const left = await world.db.sql.all<{ id: string }>(`SELECT "id" FROM "JobRun" ORDER BY "id"`);
    expect(left.map(({ id }) => id)).toEqual(jobs.slice(swept.jobs));
    expect(await fileBytes()).toBeLessThan(26_000_000);
  });

  it("forgets what nothing was heard of for a day while others of its runner were, and never the last (G22)", async () => {
    await using world = await World.open();
    const fleet = new Fleet(world);
    const [north, south] = [await fleet.runner("north"), await fleet.runner("south")];
    const [lost, left, alone] = [await fleet.hello(north), await fleet.hello(north), await fleet.hello(south)];
    await new Promise((resolve) => setTimeout(resolve, 5)); // the times of rows are in milliseconds
    await fleet.beat(left);
    for (const id of [lost, alone]) await fleet.set(id, "silentAt");
    await fleet.set(left, "stoppedAt");
    const known = async () => (await world.db.sql.all(`SELECT "id" FROM "RunnerInstance"`)).length;
    const status = async (runner: string) => runnerStatus(await readRunnerFacts(world.db.sql, runner), DAY, new Date());
    await housekeeper(world, {}, later(DAY - 60_000)).sweep();
    expect([await known(), await status(north)]).toEqual([3, "UNKNOWN"]);
    await housekeeper(world, {}, later(DAY + 60_000)).sweep();
    expect([await known(), await status(north), await status(south)]).toEqual([2, "STOPPED", "UNKNOWN"]);
  });

  it("keeps the newest ten thousand entries of a runner's history, and all of one that has fewer (B109)", async () => {
    await using world = await World.open();
    const fleet = new Fleet(world);
    const [loud, calm] = [await fleet.runner("loud"), await fleet.runner("calm")];
    const fill = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
      INSERT INTO "RunnerActivity" ("id", "runnerId", "at", "actor", "action") SELECT printf('%s-%06d', ?, i), ?, ?, 'runner', 'HELLO' FROM n`;
    for (const [runner, count] of [[loud, 16_000] as const, [calm, 9_000] as const])
      await world.db.write(({ sql }) => sql.run(fill, count, runner, runner, toDbTime(new Date())));
    await housekeeper(world, {}).sweep();
    const text = `SELECT COUNT(*) AS "count", MIN("id") AS "first" FROM "RunnerActivity" WHERE "runnerId" = ?`;
    const kept = (runner: string) => world.db.sql.get<{ count: number; first: string }>(text, runner);
    expect([await kept(loud), (await kept(calm))?.count]).toEqual([{ count: 10_000, first: `${loud}-006001` }, 9_000]);
  });
});
