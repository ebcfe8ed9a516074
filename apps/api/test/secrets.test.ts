import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { openTestApi, type TestApi } from "./support.js";

let api: TestApi;
beforeAll(async () => {
  api = await openTestApi();
});
afterAll(() => api[Symbol.asyncDispose]());

const base = "/v1/environments/default/secrets";

describe("secrets of an environment", () => {
  it("are set, listed without their values, and deleted, and each change is audited (G32)", async () => {
    const made = await api.put(`${base}/TOKEN`, { value: "swordfish" });
    expect([made.status, made.json]).toEqual([
      201,
      { name: "TOKEN", createdAt: api.now.toISOString(), updatedAt: api.now.toISOString() },
    ]);
    expect(made.headers.get("location")).toMatch(/^\/v1\/environments\/env_\w+\/secrets\/TOKEN$/);
    expect((await api.put(`${base}/TOKEN`, { value: "swordfish2" })).status).toBe(200);
    expect((await api.get(made.headers.get("location")!)).json).toEqual(made.json);
    expect((await api.put(`${base}/ANOTHER`, { value: "swordfish" })).status).toBe(201);
    const listed = await api.get(base);
    expect(listed.json.items.map(({ name }: { name: string }) => name)).toEqual(["ANOTHER", "TOKEN"]);
    expect((await api.request("DELETE", `${base}/ANOTHER`)).status).toBe(204);
    expect((await api.request("DELETE", `${base}/ANOTHER`)).status).toBe(404);
    const audit = await api.db.sql.all<{ action: string; detail: string }>(
      `SELECT * FROM "AuditEvent" WHERE "action" LIKE 'secret.%' ORDER BY "id"`,
    );
    expect(audit.map(({ action }) => action)).toEqual(["secret.put", "secret.put", "secret.put", "secret.delete"]);
    const rows = await api.db.sql.all(`SELECT * FROM "Secret"`);
    const kept = JSON.stringify([audit, rows, listed.text, made.text, api.logged]);
    expect(kept).not.toContain("swordfish");
    expect(kept).not.toContain(Buffer.from("swordfish").toString("base64").slice(0, 10));
  });

  it("are refused with a bad name or value, by the field and without the value", async () => {
    const odd = [
      [{ value: "abc" }, "/value"],
      [{ value: "  a b  " }, "/value"],
      [{ value: "sword\0fish" }, "/value"],
      [{ value: "sword\ud800fish" }, "/value"],
      [{ value: "s".repeat(32 * 1024 + 1) }, "/value"],
      [{ value: 123456 }, "/value"],
      [{}, "/value"],
      [{ value: "swordfish", more: 1 }, "/more"],
    ] as const;
    for (const [body, pointer] of odd) {
      const { status, json, text } = await api.put(`${base}/TOKEN`, body);
      expect([status === 422 || status === 400, json.errors?.[0]?.pointer]).toEqual([true, pointer]);
      expect(text).not.toMatch(/sword|fish|123456/);
    }
    expect((await api.put(`${base}/TOKEN`, { value: "abc" })).text).toContain("at least 4 characters");
    for (const name of ["PATH", "MAIA_X", "LD_PRELOAD", "a-b", "1A", "%20"])
      expect([name, (await api.put(`${base}/${name}`, { value: "swordfish" })).status]).toEqual([name, 422]);
  });

  it("are for administrators, and those of another project are not there", async () => {
    const { id } = (await api.post("/v1/projects", { name: "elsewhere" })).json;
    const stranger = await api.keyOf("admin", [id]);
    const environment = (await api.get("/v1/projects/default/environments/default")).json.id;
    for (const path of [
      base,
      `/v1/environments/${environment}/secrets`,
      `/v1/environments/${environment}/secrets/TOKEN`,
    ])
      expect((await api.get(path, { key: stranger })).status).toBe(404);
    expect((await api.get(`${base}?project=elsewhere`, { key: stranger })).json.items).toEqual([]);
    for (const role of ["viewer", "operator", "editor"] as const) {
      const key = await api.keyOf(role);
      expect((await api.get(base, { key })).status).toBe(403);
    }
  });
});
