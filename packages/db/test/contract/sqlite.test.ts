import { readdir } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it } from "@jest/globals";
import Database from "better-sqlite3";
import { Child } from "../support/child.js";
import { aPlace } from "../support/place.js";
import { describeProvider } from "./provider.js";

describeProvider("SQLite", {
  place: aPlace,
  check: ({ file }) => {
    const database = new Database(file);
    try {
      expect(database.pragma("integrity_check", { simple: true })).toBe("ok");
    } finally {
      database.close();
    }
  },
});

describe("a database on a small disk", () => {
  it("answers STORAGE_FULL while the disk is full, reads on, and recovers by itself (G26, M15)", async () => {
    await using here = await aPlace();
    const disk = path.join(here.folder, "disk");
    // A disk of 3 MB in namespaces of the child's own: nobody else sees it, and it goes with the child.
    const mount = `mkdir "$0" && mount -t tmpfs -o size=3m maia-test "$0" && exec "$@"`;
    const options = { url: `file:${disk}/maia.db`, bellsDir: path.join(here.folder, "bells"), folder: disk };
    await using child = new Child("fill-disk.mjs", options, ["unshare", "-Urm", "sh", "-c", mount, disk]);
    expect(await child.finished()).toEqual([
      { refused: "STORAGE_FULL" },
      { together: ["STORAGE_FULL", "STORAGE_FULL"] },
      { readable: true },
      { afterwards: "written" },
      { integrity: "ok" },
    ]);
  });
});

describe("a new database", () => {
  it("can give back space without being rebuilt, and is for its owner's eyes only", async () => {
    await using here = await aPlace();
    await using db = await here.open();
    expect(await db.sql.get("PRAGMA auto_vacuum")).toEqual({ auto_vacuum: 2 });
    const files = await readdir(here.folder);
    expect(files.sort()).toEqual(["bells", "maia.db", "maia.db-shm", "maia.db-wal"]);
  });

  it("is made once by several processes that start together", async () => {
    await using here = await aPlace();
    const children = ["a", "b", "c"].map((name) => new Child("write-notes.mjs", { ...here.options, name, count: 5 }));
    await Promise.all(children.map((child) => child.finished()));
    await using db = await here.open();
    expect(await db.sql.all(`SELECT 1 FROM "LogEvent"`)).toHaveLength(15);
    expect(await db.sql.all(`SELECT 1 FROM "Project"`)).toHaveLength(1);
    expect(await db.sql.all(`SELECT 1 FROM "_prisma_migrations"`)).toHaveLength(1);
  });
});
