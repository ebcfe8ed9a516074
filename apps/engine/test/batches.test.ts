import { describe, expect, it } from "@jest/globals";
import { cancelBatch, deleteJob, findBatch, findBatchView, moveBatch } from "@maia/db";
import { QUEUED_AHEAD } from "@maia/domain";
import { type Logger, readConstants } from "@maia/service";
import { Housekeeper } from "../src/housekeeper.js";
import { aBatch, untilBatch, uploadCsv } from "./support/batches.js";
import { ScriptedExecutor } from "./support/scripted-executor.js";
import { World } from "./support/world.js";

const quiet: Logger = { error() {}, warn() {}, info() {}, debug() {}, child: () => quiet };
const ok = [{ key: "a", script: "ok" }];

/** What the jobs of a batch are: their item indexes in order, and how many stand where. */
async function jobsOf(world: World, batchId: string) {
  const rows = await world.db.sql.all<{ itemIndex: number; status: string; inputJson: string }>(
    `SELECT "itemIndex", "status", "inputJson" FROM "JobRun" WHERE "batchId" = ? ORDER BY "itemIndex"`,
    batchId,
  );
  const counts: Record<string, number> = {};
  for (const { status } of rows) counts[status] = (counts[status] ?? 0) + 1;
  return { rows, indexes: rows.map(({ itemIndex }) => itemIndex), counts };
}

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);

describe("an engine with a batch", () => {
  it("runs 5,000 rows, each once and with its own params, never more at once than allowed (G3, G4)", async () => {
    await using world = await World.open();
    await world.workflow("rows", ok);
    const csv = `n\n${upTo(5_000).join("\n")}\n`;
    const itemsFile = { sha256: await uploadCsv(world, csv), name: "rows.csv" };
    const id = await aBatch(world, { workflow: "rows", version: 1, itemsFile, concurrency: 40 });
    let most = 0;
    const unlisten = world.db.bell("events").listen(() => {
      void world.db.sql
        .get<{ live: number }>(
          `SELECT count(*) AS "live" FROM "JobRun" WHERE "batchId" = ? AND "status" IN ('QUEUED', 'RUNNING')`,
          id,
        )
        .then((row) => {
          most = Math.max(most, row?.live ?? 0);
        });
    });
    await world.engine();
    await untilBatch(world, id, "SUCCEEDED");
    unlisten();
    const { rows, indexes, counts } = await jobsOf(world, id);
    expect(indexes).toEqual(upTo(5_000));
    expect(counts).toEqual({ SUCCEEDED: 5_000 });
    expect(rows.every(({ itemIndex, inputJson }) => inputJson === `{"n":${itemIndex}}`)).toBe(true);
    expect(new Set(world.executor.started).size).toBe(5_000);
    expect(world.executor.started).toHaveLength(5_000);
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(40);
  }, 300_000);

  it("opens each row once where several engines open the same batch (G4)", async () => {
    await using world = await World.open();
    await world.workflow("rows", ok);
    const items = upTo(400).map((n) => ({ params: { n } }));
    const id = await aBatch(world, { workflow: "rows", version: 1, items, concurrency: 30 });
    await using north = await World.database(world.folder);
    await using south = await World.database(world.folder);
    const engines = [
      await world.engine(),
      await world.engine({ db: north, executor: new ScriptedExecutor("ledger-2") }),
      await world.engine({ db: south, executor: new ScriptedExecutor("ledger-3") }),
    ];
    await untilBatch(world, id, "SUCCEEDED");
    expect((await jobsOf(world, id)).indexes).toEqual(upTo(400));
    for (const engine of engines) await world.stop(engine);
  });

  it("puts no more rows in the queue than others should wait behind", async () => {
    await using world = await World.open();
    const queue = await world.workflow("held", [{ key: "a", script: "hold" }]);
    const items = upTo(500).map((n) => ({ params: { n } }));
    const id = await aBatch(world, { workflow: "held", version: 1, items, concurrency: 500 });
    await world.engine({ env: { MAIA_RUN_CONCURRENCY: "4" } });
    for (;;) {
      const { counts } = await jobsOf(world, id);
      if (counts.RUNNING === 4 && counts.QUEUED === QUEUED_AHEAD) break;
      await world.db.bell("events").next(AbortSignal.timeout(50));
    }
    const other = await queue();
    const ahead = await world.db.sql.get<{ count: number }>(
      `SELECT count(*) AS "count" FROM "JobRun" WHERE "status" = 'QUEUED' AND "id" < ?`,
      other,
    );
    expect(ahead?.count).toBe(QUEUED_AHEAD);
    await world.db.write((tx) => cancelBatch(tx, id, new Date()));
    await untilBatch(world, id, "CANCELED");
    expect((await jobsOf(world, id)).counts).toEqual({ CANCELED: QUEUED_AHEAD + 4 });
    world.executor.release();
  });

  it("claims no row of a batch that is held, and goes on where it was when it is resumed", async () => {
    await using world = await World.open();
    const queue = await world.workflow("rows", ok);
    const items = upTo(120).map((n) => ({ params: { n } }));
    const id = await aBatch(world, { workflow: "rows", version: 1, items, concurrency: 100 });
    const batch = (await findBatch(world.db.sql, id))!;
    const move = (name: "pause" | "resume") => world.db.write((tx) => moveBatch(tx, batch, name, new Date()));
    const first = await world.engine({ env: { MAIA_RUN_CONCURRENCY: "1" } });
    while (((await jobsOf(world, id)).counts.SUCCEEDED ?? 0) < 5)
      await world.db.bell("events").next(AbortSignal.timeout(100));
    await move("pause");
    await world.stop(first);
    const { counts } = await jobsOf(world, id);
    expect(counts.QUEUED).toBeGreaterThan(0);
    await world.engine();
    await world.until(await queue(), "SUCCEEDED");
    expect((await jobsOf(world, id)).counts.QUEUED).toBe(counts.QUEUED);
    await move("resume");
    await untilBatch(world, id, "SUCCEEDED");
    expect((await jobsOf(world, id)).indexes).toEqual(upTo(120));
  });

  it("gives up a batch whose items are gone, and carries the others on (G12)", async () => {
    await using world = await World.open();
    await world.workflow("rows", ok);
    const lost = await aBatch(world, { workflow: "rows", version: 1, items: [{ params: { lost: true } }] });
    const fine = await aBatch(world, { workflow: "rows", version: 1, items: [{ params: { lost: false } }] });
    const { itemsSha256 } = (await findBatch(world.db.sql, lost))!;
    await world.blobs.remove(itemsSha256);
    await world.engine();
    await untilBatch(world, fine, "SUCCEEDED");
    await untilBatch(world, lost, "FAILED");
    expect(JSON.parse((await findBatch(world.db.sql, lost))!.failure!)).toMatchObject({ code: "INTERNAL" });
  });

  it("keeps what it told of itself when its jobs are kept no longer, and goes after them", async () => {
    await using world = await World.open();
    await world.workflow("rows", ok);
    const id = await aBatch(world, { workflow: "rows", version: 1, items: [{}, {}, {}] });
    const canceled = await aBatch(world, { workflow: "rows", version: 1, items: [{}] });
    await world.db.write((tx) => cancelBatch(tx, canceled, new Date()));
    await world.engine();
    await untilBatch(world, id, "SUCCEEDED");
    const { itemsSha256 } = (await findBatch(world.db.sql, id))!;
    const [job] = await world.db.sql.all<{ id: string }>(`SELECT "id" FROM "JobRun" WHERE "itemIndex" = 1`);
    const runId = (await world.db.sql.get<{ id: string }>(`SELECT "id" FROM "Run" WHERE "jobRunId" = ?`, job!.id))!.id;
    await deleteJob(world.db, { id: job!.id, runId });
    const sweep = (now: Date, env: Record<string, string>) =>
      new Housekeeper({
        db: world.db,
        blobs: world.blobs,
        clock: () => now,
        logger: quiet,
        constants: readConstants(env),
        engineId: () => "",
      }).sweep();
    const day = 86_400_000;
    await sweep(new Date(Date.now() + 2 * day), {});
    expect((await findBatchView(world.db.sql, null, id))?.counts).toMatchObject({ succeeded: 3 });
    expect(await world.blobs.has(itemsSha256)).toBe(true);
    expect(await findBatch(world.db.sql, canceled)).toBeDefined();
    await sweep(new Date(Date.now() + 2 * day), { MAIA_RETENTION_MS: String(day) });
    expect(await findBatch(world.db.sql, id)).toBeUndefined();
    expect(await findBatch(world.db.sql, canceled)).toBeUndefined();
    expect(await world.blobs.has(itemsSha256)).toBe(false);
  });
});
