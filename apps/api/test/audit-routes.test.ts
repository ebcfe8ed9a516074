import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { auditAfter, auditHead } from "@maia/db";
import type { AuditRow } from "@maia/domain";
import { readConfig } from "../src/config.js";
import { routes } from "../src/routes/index.js";
import { ask, forNothing } from "./access/ask.js";
import { howToAsk } from "./access/how-to-ask.js";
import { Scene } from "./access/scene.js";
import { openTestApi, type TestApi } from "./support.js";

let api: TestApi;
let scene: Scene;
let admin: { id: string; key: string };

beforeAll(async () => {
  const { constants } = readConfig({ MAIA_RUNNER_HEARTBEAT_MS: "50" });
  api = await openTestApi({ constants });
  scene = await Scene.open(api);
  const key = await api.keyOf("admin");
  admin = { key, id: `key_${key.split("_")[1]}` };
});

afterAll(() => api[Symbol.asyncDispose]());

/** What is in the audit log after something was done, and was not before. */
async function newEntries(deed: () => Promise<unknown>): Promise<AuditRow[]> {
  const { sql } = api.db;
  const { seq } = await auditHead(sql);
  await deed();
  return auditAfter(sql, seq, 100);
}

const mutating = routes.filter(({ method }) => method !== "get" && method !== "head");

describe("the audit log (G33, S21)", () => {
  it.each(mutating.map((route) => [`${route.method.toUpperCase()} ${route.path}`, route] as const))(
    "%s leaves the one entry that it should, and none where it changes nothing",
    async (_name, route) => {
      const { ask: variants, status, audit } = howToAsk[route.operationId]!;
      for (const variant of variants) {
        const asked = await variant(scene);
        const isOpen = asked.form !== undefined;
        const key = route.permission === "gateway.use" ? await scene.runnerToken() : admin.key;
        const entries = await newEntries(async () => {
          expect((await ask(api, route, asked, isOpen ? null : key)).status).toBe(status);
        });
        const actor = asked.form?.client_id ?? admin.id;
        const wanted = { action: audit, actor, outcome: "ok", requestId: "asked-by-a-test", ip: "127.0.0.1" };
        expect(entries).toMatchObject(
          audit === null ? [] : [{ ...wanted, target: expect.stringMatching(/^[a-z]+_./) }],
        );
        const missing = forNothing(asked);
        if (JSON.stringify(missing) === JSON.stringify(asked) || isOpen) continue;
        const ofNothing = await newEntries(async () => {
          expect((await ask(api, route, missing, key)).status).toBeGreaterThanOrEqual(400);
        });
        expect(ofNothing).toEqual([]);
      }
    },
  );

  it("says nothing of a workflow that is stored as it was, nor of a key that is revoked again", async () => {
    const id = await scene.published();
    const again = { steps: [{ key: "first", script: "y" }] };
    expect(await newEntries(() => api.put(`/v1/workflows/${id}`, again))).toEqual([]);
    const draft = () => api.put(`/v1/workflows/${id}?publish=false`, { steps: [{ key: "first", script: "z" }] });
    expect(await newEntries(draft)).toMatchObject([{ action: "workflow.save", target: id }]);
    const key = await scene.key();
    const revoke = () => api.request("DELETE", `/v1/api-keys/${key}`);
    expect([(await newEntries(revoke)).length, (await newEntries(revoke)).length]).toEqual([1, 0]);
  });

  it("holds no value that it tells of", async () => {
    const value = "a value that nobody may read";
    await api.put(`/v1/environments/${await scene.environment()}/secrets/TOKEN`, { value });
    const { key } = (await api.post("/v1/api-keys", { name: "k", role: "viewer" })).json;
    const { id, secret } = await scene.client();
    const form = { grant_type: "client_credentials", client_id: id, client_secret: secret };
    const token = routes.find(({ operationId }) => operationId === "createToken")!;
    const issued = JSON.parse((await ask(api, token, { path: "/oauth/token", form }, null)).text).access_token;
    const all = JSON.stringify(await auditAfter(api.db.sql, 0, 10_000));
    for (const hidden of [value, key.split("_").slice(2).join("_"), secret, issued]) expect(all).not.toContain(hidden);
  });
});

describe("refusals (G33)", () => {
  const refusals = async () => {
    const rows = await auditAfter(api.db.sql, 0, 10_000);
    return rows.filter(({ action }) => action === "request.refuse");
  };

  it("are in the audit log, those of a moment together and those of each actor apart", async () => {
    const viewer = await api.keyOf("viewer");
    const before = (await refusals()).length;
    for (let i = 0; i < 30; i++) await api.get("/v1/me", { key: null });
    for (let i = 0; i < 3; i++) await api.get("/v1/api-keys", { key: viewer });
    await api.post("/v1/projects", { name: "no" }, { key: viewer });
    let rows: AuditRow[] = [];
    const told = () => rows.reduce((sum, row) => sum + JSON.parse(row.detail).count, 0);
    while (told() < 34) {
      await new Promise(setImmediate);
      rows = (await refusals()).slice(before);
    }
    const ofNobody = rows.filter(({ actor }) => actor === "anonymous");
    const ofViewer = rows.filter(({ actor }) => actor === `key_${viewer.split("_")[1]}`);
    expect(ofNobody.length + ofViewer.length).toBe(rows.length);
    expect(rows.length).toBeLessThan(10);
    expect(ofNobody[0]).toMatchObject({ target: "GET /v1/me", outcome: "refused", ip: "127.0.0.1" });
    const kinds = ofViewer.flatMap(({ detail }) => JSON.parse(detail).kinds);
    expect(new Set(kinds.map(({ target }) => target))).toEqual(new Set(["GET /v1/api-keys", "POST /v1/projects"]));
    expect(kinds.every(({ status }) => status === 403)).toBe(true);
  });

  it("are written before the API has stopped, and bounded however many paths are tried", async () => {
    await using other = await openTestApi();
    for (const { method, path } of routes) {
      if (path === "/healthz" || path === "/readyz" || path === "/oauth/token") continue;
      await other.request(method.toUpperCase(), path.replace(/\{\w+\}/g, "x"), { key: null });
    }
    await other.stop();
    const rows = (await auditAfter(other.db.sql, 0, 1_000)).filter(({ action }) => action === "request.refuse");
    const details = rows.map(({ detail }) => JSON.parse(detail));
    expect(details.reduce((sum, { count }) => sum + count, 0)).toBe(routes.length - 3);
    expect(Math.max(...details.map(({ kinds }) => kinds.length))).toBeLessThanOrEqual(20);
  });
});

describe("the end of the audit log", () => {
  it("is told in the process's log, when the API starts, from time to time, and when it stops", async () => {
    const { constants } = readConfig({ MAIA_AUDIT_HEAD_MS: "20" });
    await using other = await openTestApi({ constants });
    const heads = () =>
      other.logged.filter(({ message }) => message === "the audit log ends here").map(({ fields }) => fields);
    await other.post("/v1/projects", { name: "one" });
    const { seq, hash } = await auditHead(other.db.sql);
    while (!heads().some((fields) => (fields as { head: string }).head === `${seq}:${hash}`))
      await new Promise(setImmediate);
    await other.post("/v1/projects", { name: "two" });
    await other.stop();
    const last = await auditHead(other.db.sql);
    expect(heads().at(-1)).toEqual({ head: `${last.seq}:${last.hash}` });
  });
});
