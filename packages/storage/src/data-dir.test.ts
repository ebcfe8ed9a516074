import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { DataDirError, openDataDir, refuseLostDatabase } from "./data-dir.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "maia-data-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe("the data directory", () => {
  it("can be read by its owner only, passed through on the way to a step's folder, and is left alone when it is opened again", async () => {
    const root = join(folder, "a", "b");
    const dir = await openDataDir(root);
    expect((await stat(root)).mode & 0o777).toBe(0o711);
    expect((await stat(dir.runs)).mode & 0o777).toBe(0o711);
    for (const path of [dir.blobs, dir.deps, dir.tmp, dir.bells]) expect((await stat(path)).mode & 0o777).toBe(0o700);
    expect((await readdir(root)).sort()).toEqual(["bells", "blobs", "deps", "runs", "tmp"]);
    expect(dir).toMatchObject({ dbFile: join(root, "maia.db"), adminKey: join(root, "admin-key") });
    expect(await openDataDir(root)).toEqual(dir);
    expect(await readdir(dir.tmp)).toEqual([]);
  });

  it("says clearly when a file is in its place", async () => {
    const root = join(folder, "file");
    await writeFile(root, "");
    await expect(openDataDir(root)).rejects.toThrow(DataDirError);
    await expect(openDataDir(root)).rejects.toThrow(
      `The data directory ${root} cannot be used: it, or a folder above it, is a file`,
    );
  });

  it("says clearly when its file system does not take it", async () => {
    await expect(openDataDir("/proc/maia")).rejects.toThrow(/^The data directory \/proc\/maia cannot be used: /);
  });
});

describe("a data directory whose database is gone", () => {
  it("is refused when it was used before, and only then (F61)", async () => {
    const root = await mkdtemp(join(tmpdir(), "maia-lost-"));
    try {
      const dir = await openDataDir(root);
      await refuseLostDatabase(dir);
      await writeFile(dir.adminKey, "key");
      await expect(refuseLostDatabase(dir)).rejects.toThrow(/maia\.db is gone/);
      await writeFile(dir.dbFile, "");
      await refuseLostDatabase(dir);
    } finally {
      await rm(root, { recursive: true });
    }
  });
});
