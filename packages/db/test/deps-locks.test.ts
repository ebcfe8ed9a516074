import { describe, expect, it } from "@jest/globals";
import { keepDepsLock, readDepsLock } from "../src/deps-locks.js";
import { aRun } from "./support/a-run.js";
import { aPlace } from "./support/place.js";

describe("the lock of a version's packages", () => {
  it("is the first that anybody stores, whoever asks at the same time (G20)", async () => {
    await using place = await aPlace();
    await using north = await place.open();
    await using south = await place.open();
    await aRun(north, "run_1");
    const version = "wfv_run_1";
    expect(await readDepsLock(north.sql, version)).toBeNull();
    const keep = (db: typeof north, name: string) =>
      db.write((tx) => keepDepsLock(tx, version, `lock of ${name}`, name));
    const held = await Promise.all([keep(north, "north"), keep(south, "south"), keep(north, "a twin")]);
    expect(new Set(held).size).toBe(1);
    expect(await readDepsLock(south.sql, version)).toBe(held[0]);
    const row = await north.models.workflowVersion.findFirstOrThrow({ where: { id: version } });
    expect(`lock of ${row.depsHash}`).toBe(row.depsLock);
  });
});
