import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { AuditCheck, type AuditRow } from "@maia/domain";
import { openTestApi, type TestApi } from "./support.js";

let api: TestApi;
beforeEach(async () => {
  api = await openTestApi();
});
afterEach(() => api[Symbol.asyncDispose]());

const items = async (query = "") => (await api.get(`/v1/audit-events${query}`)).json.items as unknown as AuditRow[];

async function deeds(): Promise<void> {
  for (const name of ["one", "two", "three"]) await api.post("/v1/projects", { name });
}

describe("the audit log", () => {
  it("is read newest first, page by page, and narrowed by who, what and about whom", async () => {
    await deeds();
    const all = await items();
    expect(all.map(({ seq }) => seq)).toEqual(all.map(({ seq }) => seq).sort((a, b) => b - a));
    const first = await api.get("/v1/audit-events?limit=2");
    const second = await api.get(`/v1/audit-events?limit=2&cursor=${first.json.nextCursor}`);
    expect([...first.json.items, ...second.json.items]).toEqual(all.slice(0, 4));
    const { action, target } = all[0]!;
    expect((await items(`?target=${target}`)).every((row) => row.target === target)).toBe(true);
    expect((await items(`?action=${action}`)).length).toBeGreaterThanOrEqual(3);
    expect(await items("?actor=nobody")).toEqual([]);
  });

  it("can be checked by whoever reads it: what was altered, removed, moved or cut off shows, and where", async () => {
    await deeds();
    const read = () => items("?order=asc&limit=100");
    const verdict = (rows: readonly AuditRow[], head?: { seq: number; hash: string }) => {
      const check = new AuditCheck(head);
      for (const row of rows) {
        const fault = check.take(row);
        if (fault) return fault;
      }
      return check.end();
    };
    const rows = await read();
    const last = rows.at(-1)!;
    expect(verdict(rows)).toEqual({ ok: true, head: { seq: last.seq, hash: last.hash } });
    expect(verdict(rows.slice(0, -1), last)).toEqual({ ok: false, seq: last.seq });
    await api.db.write(({ sql }) => sql.run(`UPDATE "AuditEvent" SET "actor" = 'nobody' WHERE "seq" = 2`));
    expect(verdict(await read())).toEqual({ ok: false, seq: 2 });
    await api.db.write(({ sql }) => sql.run(`DELETE FROM "AuditEvent" WHERE "seq" = 1`));
    expect(verdict(await read())).toEqual({ ok: false, seq: 1 });
  });

  it("is for those who may see every project", async () => {
    const { id } = (await api.post("/v1/projects", { name: "mine" })).json;
    const some = await api.keyOf("admin", [id]);
    const answer = await api.get("/v1/audit-events", { headers: { Authorization: `Bearer ${some}` } });
    expect([answer.status, answer.json.code]).toEqual([403, "FORBIDDEN"]);
  });
});
