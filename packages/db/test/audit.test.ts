import { describe, expect, it } from "@jest/globals";
import type { AuditHead } from "@maia/domain";
import { appendAudit, auditHead, verifyAudit } from "../src/audit.js";
import type { Db } from "../src/types.js";
import { NOW, openTestDb } from "./support/place.js";

async function anAuditedDb(entries: number) {
  const db = await openTestDb();
  for (let i = 1; i <= entries; i++) await audit(db, `act-${i}`);
  return db;
}

function audit(db: Db, action: string): Promise<AuditHead> {
  const entry = { actor: "key_a", action, target: "rnr_b", outcome: "ok", ip: "::1", detail: { z: 1, a: ["é"] } };
  return db.write((tx) => appendAudit(tx, entry, NOW));
}

describe("the audit log", () => {
  it("verifies from the first entry to the head (G33)", async () => {
    await using db = await anAuditedDb(0);
    expect(await verifyAudit(db)).toEqual({ ok: true, head: { seq: 0, hash: "" } });
    const heads = await Promise.all([audit(db, "one"), audit(db, "two"), audit(db, "three")]);
    expect(heads.map(({ seq }) => seq)).toEqual([1, 2, 3]);
    expect(await verifyAudit(db)).toEqual({ ok: true, head: heads[2] });
    expect(await verifyAudit(db, heads[1])).toEqual({ ok: true, head: heads[2] });
  });

  it("commits with the change that it tells of, or not at all", async () => {
    await using db = await anAuditedDb(1);
    const failed = db.write(async (tx) => {
      await appendAudit(tx, { actor: "a", action: "b", target: "c", outcome: "ok" }, NOW);
      throw new Error("no");
    });
    await expect(failed).rejects.toThrow("no");
    await audit(db, "next");
    expect(await verifyAudit(db)).toMatchObject({ ok: true, head: { seq: 2 } });
  });

  it.each([
    [`UPDATE "AuditEvent" SET "actor" = 'key_b' WHERE "seq" = 2`, 2],
    [`UPDATE "AuditEvent" SET "detail" = '{}' WHERE "seq" = 4`, 4],
    [`UPDATE "AuditEvent" SET "hash" = 'x' WHERE "seq" = 5`, 5],
    [`DELETE FROM "AuditEvent" WHERE "seq" = 3`, 3],
    [`DELETE FROM "AuditEvent" WHERE "seq" = 1`, 1],
    [`UPDATE "AuditEvent" SET "seq" = 9 WHERE "seq" = 2`, 2],
  ])("shows that somebody did %s (G33)", async (sql, seq) => {
    await using db = await anAuditedDb(5);
    await db.write((tx) => tx.sql.run(sql));
    expect(await verifyAudit(db)).toEqual({ ok: false, seq });
  });

  it("shows a tail that was cut off, to who has noted an earlier head (G33)", async () => {
    await using db = await anAuditedDb(5);
    const noted = await auditHead(db.sql);
    await db.write((tx) => tx.sql.run(`DELETE FROM "AuditEvent" WHERE "seq" > 3`));
    expect(await verifyAudit(db)).toMatchObject({ ok: true });
    expect(await verifyAudit(db, noted)).toEqual({ ok: false, seq: 4 });
    await audit(db, "another four");
    await audit(db, "another five");
    expect(await verifyAudit(db, noted)).toEqual({ ok: false, seq: 5 });
  });
});
