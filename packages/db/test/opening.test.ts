import { copyFile, open, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { describe, expect, it } from "@jest/globals";
import Database from "better-sqlite3";
import { checkFileSystem } from "../src/providers/sqlite-file.js";
import { aPlace, type Place } from "./support/place.js";

describe("opening a database", () => {
  it("sets and keeps what durability needs on both connections", async () => {
    await using here = await aPlace();
    await using db = await here.open();
    const read = (name: string) => db.sql.get<Record<string, unknown>>(`PRAGMA ${name}`);
    expect(await read("journal_mode")).toEqual({ journal_mode: "wal" });
    expect(await read("synchronous")).toEqual({ synchronous: 2 });
    expect(await read("foreign_keys")).toEqual({ foreign_keys: 1 });
    expect(await read("query_only")).toEqual({ query_only: 1 });
    const inWrite = await db.write((tx) => tx.sql.get("PRAGMA synchronous"));
    expect(inWrite).toEqual({ synchronous: 2 });
  });

  it("has a default project with an environment and the hosted runner from the first start, once", async () => {
    await using here = await aPlace();
    await (await here.open())[Symbol.asyncDispose]();
    await using db = await here.open();
    expect(await db.sql.all(`SELECT "name" FROM "Project"`)).toEqual([{ name: "default" }]);
    expect(await db.sql.all(`SELECT "name" FROM "Environment"`)).toEqual([{ name: "default" }]);
    expect(await db.sql.all(`SELECT "name", "type", "platform", "track" FROM "Runner"`)).toEqual([
      { name: "hosted", type: "maia", platform: "hosted", track: "current" },
    ]);
  });

  it.each(["postgresql://u:secret@db/maia", "file::memory:", "maia.db", "file:maia.db?mode=ro"])(
    "refuses the address %s",
    async (url) => {
      await using here = await aPlace();
      await expect(here.open({ url })).rejects.toMatchObject({
        code: "DB_URL",
        message: expect.not.stringContaining("secret"),
      });
    },
  );

  it("refuses a truncated file (F62)", async () => {
    await using here = await aUsedPlace();
    await truncate(here.file, (await stat(here.file)).size / 2);
    await expect(here.open()).rejects.toMatchObject({ name: "DbRefusal", code: "DB_CORRUPT" });
  });

  it("refuses an empty file in place of a database (F61)", async () => {
    await using here = await aUsedPlace();
    await truncate(here.file, 0);
    await expect(here.open()).rejects.toMatchObject({ code: "DB_CORRUPT" });
  });

  it("refuses a file that is no database", async () => {
    await using here = await aPlace();
    await writeFile(here.file, "a,b,c\n".repeat(10_000));
    await expect(here.open()).rejects.toMatchObject({ code: "DB_CORRUPT" });
  });

  it("refuses a file with a damaged page (F62)", async () => {
    await using here = await aUsedPlace();
    const file = await open(here.file, "r+");
    await file.write(Buffer.alloc(512, 0xa5), 0, 512, 8 * 4_096);
    await file.close();
    await expect(here.open()).rejects.toMatchObject({ code: "DB_CORRUPT" });
  });

  it("refuses a missing database whose write-ahead log is still there (F61)", async () => {
    await using here = await aPlace();
    const db = await here.open();
    await copyFile(`${here.file}-wal`, `${here.file}-kept`);
    await db[Symbol.asyncDispose]();
    await rm(here.file);
    await copyFile(`${here.file}-kept`, `${here.file}-wal`);
    await expect(here.open()).rejects.toMatchObject({
      code: "DB_CORRUPT",
      message: expect.stringContaining("missing"),
    });
    await expect(readFile(here.file)).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("starts cleanly without the write-ahead log of a database that was closed (F61)", async () => {
    await using here = await aUsedPlace();
    await rm(`${here.file}-wal`, { force: true });
    await rm(`${here.file}-shm`, { force: true });
    await using db = await here.open();
    expect(await db.sql.all(`SELECT 1 FROM "Project"`)).toHaveLength(1);
  });

  it("refuses a file system that is not a local disk (F63)", async () => {
    // The kernel's own file systems are the ones that every machine has; a table that lists one stands for the rest.
    await expect(checkFileSystem("/proc", new Map([[0x9fa0, "procfs"]]))).rejects.toMatchObject({
      code: "DB_REMOTE_FS",
      message: expect.stringContaining("procfs"),
    });
    await checkFileSystem("/proc");
  });

  it("gives up every file and socket when it is closed", async () => {
    await using here = await aPlace();
    const db = await here.open();
    const pending = db.write((tx) => tx.ring("engine"));
    await db[Symbol.asyncDispose]();
    await pending;
    await expect(db.write(() => {})).rejects.toThrow("closed");
    await rm(here.file);
    await expect(stat(`${here.file}-wal`)).rejects.toMatchObject({ code: "ENOENT" });
  });
});

/** A place with a closed database of some pages. */
async function aUsedPlace(): Promise<Place> {
  const here = await aPlace();
  const db = await here.open();
  await db.write(async (tx) => {
    for (let i = 0; i < 200; i++)
      await tx.event("runner_status", {}, { runnerId: "x".repeat(500), status: "RUNNING", at: "" });
  });
  await db[Symbol.asyncDispose]();
  new Database(here.file).close();
  return here;
}
