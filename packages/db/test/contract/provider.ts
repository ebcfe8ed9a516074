import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "@jest/globals";
import type { Db } from "../../src/types.js";
import { Child } from "../support/child.js";
import type { Place } from "../support/place.js";

/** A database that the contract is tried on. */
export interface Subject {
  /** An empty place for a database. */
  place(): Promise<Place>;
  /** Throws where the stored data is damaged. */
  check(place: Place): void;
}

/** How often a writer is killed. With none lost, the chance of a loss per kill is below 3 in this number. */
const KILLS = 80;

/** The promises that every provider keeps. */
export function describeProvider(name: string, { place, check }: Subject): void {
  describe(`a database on ${name}`, () => {
    it("shows a write to the next read, and to the next process (G1)", async () => {
      await using here = await place();
      await using db = await here.open();
      await write(db, "first");
      expect(await notes(db)).toEqual(["first"]);
      await using again = await here.open();
      expect(await notes(again)).toEqual(["first"]);
    });

    it("undoes a write that fails, and leaves its neighbours in the same commit alone", async () => {
      await using here = await place();
      await using db = await here.open();
      const results = await Promise.allSettled([
        write(db, "one"),
        db.write(async (tx) => {
          await tx.event("runner_status", {}, { runnerId: "two", status: "RUNNING", at: "" });
          throw new Error("thought better of it");
        }),
        write(db, "three"),
      ]);
      expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
      expect(await notes(db)).toEqual(["one", "three"]);
    });

    it("carries out writes in the order in which they were asked for", async () => {
      await using here = await place();
      await using db = await here.open();
      const order = Array.from({ length: 600 }, (_, i) => String(i));
      const settled: string[] = [];
      await Promise.all(order.map((note) => write(db, note).then(() => settled.push(note))));
      expect(settled).toEqual(order);
      expect(await notes(db)).toEqual(order);
    });

    it("shows nothing of a write before its promise settles, and all of it then", async () => {
      await using here = await place();
      await using db = await here.open();
      let seenInside: string[] = ["unread"];
      await db.write(async (tx) => {
        await tx.event("runner_status", {}, { runnerId: "hidden", status: "RUNNING", at: "" });
        seenInside = await notes(db);
      });
      expect(seenInside).toEqual([]);
      expect(await notes(db)).toEqual(["hidden"]);
    });

    it("refuses to write through the reader", async () => {
      await using here = await place();
      await using db = await here.open();
      await expect(db.sql.run(`DELETE FROM "Project"`)).rejects.toThrow();
      expect(await db.sql.all(`SELECT 1 FROM "Project"`)).toHaveLength(1);
    });

    it("refuses a write inside a write, which would wait for itself", async () => {
      await using here = await place();
      await using db = await here.open();
      await expect(db.write(() => write(db, "inner"))).rejects.toThrow("inside a write");
      await write(db, "afterwards");
      expect(await notes(db)).toEqual(["afterwards"]);
    });

    it("refuses a tx that outlives its write", async () => {
      await using here = await place();
      await using db = await here.open();
      const { tx } = await db.write((inner) => ({ tx: inner }));
      await expect(tx.sql.run(`DELETE FROM "Project"`)).rejects.toThrow("after its write had ended");
    });

    it("waits for the lock of another process without an error and without holding up readers (G26, M4)", async () => {
      await using here = await place();
      await using db = await here.open();
      await using holder = new Child("hold-lock.mjs", { ...here.options, holdMs: 1_000 });
      await holder.heard((said) => said === "held");
      const askedAt = performance.now();
      let waitedMs = 0;
      const written = write(db, "patient").then(() => {
        waitedMs = performance.now() - askedAt;
      });
      const pausesMs: number[] = [];
      for (let before = performance.now(); waitedMs === 0; before = performance.now()) {
        await db.sql.all(`SELECT * FROM "Project"`);
        await sleep(1);
        pausesMs.push(performance.now() - before);
      }
      await written;
      expect(waitedMs).toBeGreaterThan(500);
      expect(pausesMs.sort((a, b) => a - b).at(Math.floor(pausesMs.length * 0.95))).toBeLessThan(50);
      expect(await notes(db)).toEqual(["patient"]);
    });

    it("answers BUSY when the lock is not free within the retry budget, and then works on (G26)", async () => {
      await using here = await place();
      await using db = await here.open({ retryBudgetMs: 200 });
      await using holder = new Child("hold-lock.mjs", { ...here.options, holdMs: 1_000 });
      await holder.heard((said) => said === "held");
      await expect(write(db, "impatient")).rejects.toMatchObject({ name: "MaiaError", code: "BUSY" });
      await holder.finished();
      await write(db, "later");
      expect(await notes(db)).toEqual(["later"]);
    });

    it("gives a process its turn beside one that never stops writing", async () => {
      await using here = await place();
      await using db = await here.open();
      await using busy = new Child("write-until-killed.mjs", { ...here.options, name: "busy", lanes: 1 });
      await busy.heard(() => true);
      const waitsMs: number[] = [];
      for (let i = 0; i < 50; i++) {
        const askedAt = performance.now();
        await write(db, `quiet-${i}`);
        waitsMs.push(performance.now() - askedAt);
        await sleep(10);
      }
      expect(waitsMs.sort((a, b) => a - b)[45]).toBeLessThan(100);
    });

    it("gives each of 2,000 rows to exactly one of four processes (M12)", async () => {
      await using here = await place();
      await using db = await here.open();
      const keys = Array.from({ length: 2_000 }, (_, i) => `row-${i}`);
      const insert = `INSERT INTO "IdempotencyKey" ("principal", "key", "requestHash", "status", "location", "createdAt") VALUES ('', ?, '', 0, '', '')`;
      await Promise.all(keys.map((key) => db.write((tx) => tx.sql.run(insert, key))));
      const children = [1, 2, 3, 4].map(() => new Child("claim-rows.mjs", here.options));
      const claims = await Promise.all(children.map((child) => child.finished<string>()));
      expect(claims.flat().sort()).toEqual(keys.sort());
    });

    it("loses no acknowledged write when its process is killed at any moment (G1, M6)", async () => {
      await using here = await place();
      const acknowledged: string[] = [];
      for (let kill = 0; kill < KILLS; kill += 2) {
        const writers = ["a", "b"].map((which) => {
          const child = new Child("write-until-killed.mjs", { ...here.options, name: `${which}${kill}`, lanes: 4 });
          return { child, started: child.heard(() => true) };
        });
        await Promise.all(writers.map(({ started }) => started));
        await sleep(Math.random() * 100);
        await Promise.all(writers.map(({ child }) => child.kill()));
        acknowledged.push(...writers.flatMap(({ child }) => child.said as string[]));
      }
      check(here);
      await using db = await here.open();
      const kept = new Set(await notes(db));
      expect(acknowledged.length).toBeGreaterThan(KILLS);
      expect(acknowledged.filter((note) => !kept.has(note))).toEqual([]);
    });

    it("makes event ids visible in their order to a reader beside the writers (G15)", async () => {
      await using here = await place();
      await using db = await here.open();
      const writers = ["a", "b", "c"].map(
        (which) => new Child("write-notes.mjs", { ...here.options, name: which, count: 500 }),
      );
      let writing = true;
      const ended = Promise.all(writers.map((child) => child.finished())).then(() => {
        writing = false;
      });
      const seen: number[] = [];
      const follow = async () => {
        const rows = await db.sql.all<{ id: number }>(
          `SELECT "id" FROM "LogEvent" WHERE "id" > ? ORDER BY "id"`,
          seen.at(-1) ?? 0,
        );
        seen.push(...rows.map(({ id }) => id));
      };
      while (writing) {
        await follow();
        await sleep(1);
      }
      await ended;
      await follow();
      const stored = await db.sql.all<{ id: number }>(`SELECT "id" FROM "LogEvent" ORDER BY "id"`);
      expect(seen).toHaveLength(1_500);
      expect(seen).toEqual(stored.map(({ id }) => id));
    });

    it("never goes back over an event id that a failed write had taken", async () => {
      await using here = await place();
      await using db = await here.open();
      await write(db, "one");
      await db
        .write(async (tx) => {
          await tx.event("runner_status", {}, { runnerId: "two", status: "RUNNING", at: "" });
          throw new Error("no");
        })
        .catch(() => {});
      await write(db, "three");
      const ids = await db.sql.all<{ id: number }>(`SELECT "id" FROM "LogEvent" ORDER BY "id"`);
      expect(ids[1]!.id).toBeGreaterThan(ids[0]!.id);
      expect(await notes(db)).toEqual(["one", "three"]);
    });
  });
}

function write(db: Db, note: string): Promise<void> {
  return db.write((tx) => tx.event("runner_status", {}, { runnerId: note, status: "RUNNING", at: "" }));
}

async function notes(db: Db): Promise<string[]> {
  const rows = await db.sql.all<{ data: string }>(`SELECT "data" FROM "LogEvent" ORDER BY "id"`);
  return rows.map(({ data }) => (JSON.parse(data) as { runnerId: string }).runnerId);
}
