import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "@jest/globals";
import { auditAfter, openDb, verifyAudit } from "@maia/db";
import { noteIsolation } from "../src/note-isolation.js";

it("puts the level of isolation into the audit log when it is another one than before (S21)", async () => {
  const root = await mkdtemp(join(tmpdir(), "maia-isolation-"));
  try {
    const url = `file:${join(root, "maia.db")}`;
    await using db = await openDb({ url, bellsDir: join(root, "bells"), busyTimeoutMs: 100, retryBudgetMs: 5_000 });
    for (const level of ["sandbox", "sandbox", "process-group", "process-group", "sandbox"])
      await noteIsolation(db, level, new Date());
    const entries = await auditAfter(db.sql, 0, 10);
    expect(entries.map(({ actor, action, target, detail }) => [actor, action, target, JSON.parse(detail)])).toEqual([
      ["engine", "isolation.change", "sandbox", { before: null }],
      ["engine", "isolation.change", "process-group", { before: "sandbox" }],
      ["engine", "isolation.change", "sandbox", { before: "process-group" }],
    ]);
    expect(await verifyAudit(db)).toMatchObject({ ok: true });
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});
