import { readdir } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "@jest/globals";
import Database from "better-sqlite3";
import type { BellTopic, Db } from "../src/types.js";
import { Child } from "./support/child.js";
import { aPlace, NOW, openTestDb, type Place } from "./support/place.js";

/** Long enough for a bell that should not ring to have rung, the net included. */
const SILENCE_MS = 300;

describe("a doorbell", () => {
  it("rings for an event after its commit, and leaves the engine alone", async () => {
    await using db = await openTestDb();
    const rings = countRings(db);
    let events = -1;
    db.bell("events").listen(() => {
      void db.sql.all(`SELECT 1 FROM "LogEvent"`).then((rows) => {
        events = rows.length;
      });
    });
    await db.write((tx) => tx.event("runner_status", {}, { runnerId: "r", status: "RUNNING", at: "" }));
    await db.sql.get("SELECT 1");
    expect(events).toBe(1);
    expect(rings).toEqual({ engine: 0, events: 1 });
  });

  it("rings once for writes that share a commit", async () => {
    await using db = await openTestDb();
    const rings = countRings(db);
    await Promise.all(Array.from({ length: 50 }, () => db.write((tx) => tx.ring("engine"))));
    expect(rings).toEqual({ engine: 1, events: 0 });
  });

  it("stays silent for a write that fails", async () => {
    await using db = await openTestDb();
    const rings = countRings(db);
    await expect(
      db.write((tx) => {
        tx.ring("engine");
        throw new Error("no");
      }),
    ).rejects.toThrow("no");
    expect(rings).toEqual({ engine: 0, events: 0 });
  });

  it("wakes who waits for its next ring, or whose signal aborts", async () => {
    await using db = await openTestDb();
    const [rung, other] = [db.bell("engine").next(), new AbortController()];
    const aborted = db.bell("events").next(other.signal);
    await db.write((tx) => tx.ring("engine"));
    await rung;
    other.abort();
    await aborted;
    await db.bell("events").next(other.signal);
  });
});

describe("the doorbells of two processes", () => {
  it("carry a ring from one to the other, and only its topic", async () => {
    await using here = await aPlace();
    await using db = await here.open();
    await using neighbour = await aNeighbour(here);
    const rung = db.bell("events").next();
    const rings = countRings(db);
    neighbour.tell({ note: "hello" });
    await rung;
    await db.write((tx) => tx.ring("engine"));
    await neighbour.heard<{ rang?: BellTopic }>(({ rang }) => rang === "engine");
    expect(rings).toEqual({ engine: 1, events: 1 });
    expect(neighbour.said.filter((said) => (said as { rang?: string }).rang === "events")).toHaveLength(1);
  });

  it("stay silent for a commit that rings for nothing", async () => {
    await using here = await aPlace();
    await using db = await here.open();
    await using neighbour = await aNeighbour(here);
    const rings = countRings(db);
    neighbour.tell({ quiet: NOW.toISOString() });
    await neighbour.heard<{ done?: string }>(({ done }) => done !== undefined);
    await sleep(SILENCE_MS);
    expect(rings).toEqual({ engine: 0, events: 0 });
  });

  it("have a net under them: a commit that nobody told of rings too", async () => {
    await using here = await aPlace();
    await using db = await here.open();
    const rung = Promise.all([db.bell("engine").next(), db.bell("events").next()]);
    const stranger = new Database(here.file);
    stranger.exec(`UPDATE "Project" SET "name" = "name"`);
    await rung;
    stranger.close();
  });

  it("ring when a process dies, for it may have died between its commit and its bell", async () => {
    await using here = await aPlace();
    await using db = await here.open();
    await using neighbour = await aNeighbour(here);
    const rung = Promise.all([db.bell("engine").next(), db.bell("events").next()]);
    await neighbour.kill();
    await rung;
  });

  it("work in a folder whose path is too long for a socket", async () => {
    await using here = await aPlace();
    const bellsDir = path.join(here.folder, "d".repeat(100), "bells");
    await using db = await here.open({ bellsDir });
    await using neighbour = await aNeighbour(here, { bellsDir });
    const { id } = await neighbour.heard<{ id: string }>((said) => said.id !== undefined);
    expect(await db.bells.probe(id)).toBe("alive");
    const rung = db.bell("engine").next();
    neighbour.tell({ ring: "engine" });
    await rung;
  });
});

describe("probing a process by its bell", () => {
  it("tells the living, the stopped and the dead apart", async () => {
    await using here = await aPlace();
    await using db = await here.open();
    await using neighbour = await aNeighbour(here);
    const { id } = await neighbour.heard<{ id: string }>((said) => said.id !== undefined);
    expect(await db.bells.probe(db.bells.id)).toBe("alive");
    expect(await db.bells.probe(id)).toBe("alive");
    neighbour.signal("SIGSTOP");
    expect(await db.bells.probe(id)).toBe("alive");
    await neighbour.kill();
    expect(await db.bells.probe(id)).toBe("dead");
    expect(await db.bells.probe("never-was")).toBe("dead");
  });

  it("does not take a stopped process with many callers for a dead one", async () => {
    await using here = await aPlace();
    await using db = await here.open();
    await using neighbour = await aNeighbour(here);
    const { id } = await neighbour.heard<{ id: string }>((said) => said.id !== undefined);
    neighbour.signal("SIGSTOP");
    const verdicts = await Promise.all(Array.from({ length: 1_500 }, () => db.bells.probe(id)));
    expect(new Set(verdicts)).toEqual(new Set(["alive"]));
  });

  it("cleans up after the dead at the next start", async () => {
    await using here = await aPlace();
    await (await aNeighbour(here)).kill();
    expect(await readdir(here.options.bellsDir)).toHaveLength(1);
    await using db = await here.open();
    expect(await readdir(here.options.bellsDir)).toEqual([`${db.bells.id}.sock`]);
  });

  it("finds nothing left of a process that went in good order, and rings for none", async () => {
    await using here = await aPlace();
    await using db = await here.open();
    const neighbour = await aNeighbour(here);
    const rings = countRings(db);
    neighbour.endInput();
    await neighbour.finished();
    await sleep(SILENCE_MS);
    expect(await readdir(here.options.bellsDir)).toEqual([`${db.bells.id}.sock`]);
    expect(rings).toEqual({ engine: 0, events: 0 });
  });
});

function countRings(db: Db): Record<BellTopic, number> {
  const rings = { engine: 0, events: 0 };
  for (const topic of ["engine", "events"] as const) db.bell(topic).listen(() => (rings[topic] += 1));
  return rings;
}

/** Another process on the same database, ready. */
async function aNeighbour({ options }: Place, more: object = {}): Promise<Child> {
  const neighbour = new Child("neighbour.mjs", { ...options, ...more });
  await neighbour.heard<{ id?: string }>(({ id }) => id !== undefined);
  return neighbour;
}
