import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { createLogger, readConstants } from "@maia/service";
import { openStores, readStoresConfig, type StoresConfig } from "../src/open-stores.js";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "maia-stores-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const logger = createLogger({ level: "error", format: "json", name: "test" });
const deps = { constants: readConstants({}), logger, clock: () => new Date("2026-11-20T12:00:00.000Z") };
const open = (config: Partial<StoresConfig> = {}) =>
  openStores({ dataDir: join(root, "data"), databaseUrl: null, ...config }, deps);

describe("the stores of a process", () => {
  it("are in the data directory, and there again after they were closed", async () => {
    {
      await using stores = await open();
      await stores.db.write(({ models }) =>
        models.project.create({ data: { id: "prj_1", name: "kept", createdAt: deps.clock() } }),
      );
      await stores.blobs.put(Buffer.from("kept"));
    }
    await using again = await open();
    expect(await again.db.models.project.count({ where: { name: "kept" } })).toBe(1);
  });

  it("may have the database elsewhere", async () => {
    await using stores = await open({ databaseUrl: `file:${join(root, "elsewhere", "other.db")}` });
    expect(await stores.db.models.project.count()).toBe(1);
  });

  it("are not begun anew where the database of a directory that was used is gone (F61)", async () => {
    {
      await using stores = await open();
      await writeFile(stores.dataDir.adminKey, "mk_x\n");
    }
    await rm(join(root, "data", "maia.db"));
    await expect(open()).rejects.toThrow(/maia\.db is gone/);
  });

  it("are where MAIA_DATA_DIR and DATABASE_URL say", () => {
    expect(readStoresConfig({})).toEqual({ dataDir: ".maia", databaseUrl: null });
    const env = { MAIA_DATA_DIR: "/srv/maia", DATABASE_URL: "file:/srv/db/maia.db" };
    expect(readStoresConfig(env)).toEqual({ dataDir: "/srv/maia", databaseUrl: "file:/srv/db/maia.db" });
  });
});
