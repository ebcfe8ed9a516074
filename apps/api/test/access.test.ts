import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { HOUR } from "@maia/domain";
import { isAllowed, type Permission, permissions, type roles } from "../src/permissions.js";
import { openTestApi, type TestApi } from "./support.js";

let api: TestApi;

beforeAll(async () => {
  api = await openTestApi();
});

afterAll(() => api[Symbol.asyncDispose]());

const me = (headers: Record<string, string>) => api.get("/v1/me", { key: null, headers });

describe("credentials", () => {
  it("are taken from one Authorization header with a Bearer token, and nowhere else (B095)", async () => {
    const key = api.adminKey;
    expect((await me({ Authorization: `Bearer ${key}` })).status).toBe(200);
    expect((await me({ Authorization: `bearer ${key}` })).status).toBe(200);
    const odd = [
      "",
      "Bearer",
      "Bearer ",
      `Basic ${key}`,
      `Token ${key}`,
      key,
      `Bearer ${key} x`,
      `Bearer ${key}x`,
      `Bearer "${key}"`,
      `Bearer ${key},`,
    ];
    for (const value of odd) {
      const answer = await me({ Authorization: value });
      expect([value, answer.status, answer.headers.get("www-authenticate")]).toEqual([
        value,
        401,
        'Bearer realm="maia"',
      ]);
      expect(answer.text).not.toContain(key);
    }
    for (const name of ["access_token", "token", "api_key", "key"]) {
      expect((await api.get(`/v1/me?${name}=${key}`, { key: null })).status).toBe(401);
      expect((await api.get(`/v1/me?${name}=${key}`)).status).toBe(401);
    }
    for (const headers of [{ Cookie: `key=${key}` }, { "X-Api-Key": key }])
      expect((await me(headers as never)).status).toBe(401);
  });

  it("may not come twice", async () => {
    const twice = `GET /v1/me HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${api.adminKey}\r\nAuthorization: Bearer ${api.adminKey}\r\n\r\n`;
    expect(await api.raw(twice, /\}$/)).toMatch(/^HTTP\/1\.1 401 /);
  });

  it("count until they are revoked or have run out, and are shown once", async () => {
    const expiresAt = new Date(api.now.getTime() + HOUR).toISOString();
    const made = await api.post("/v1/api-keys", { name: "short", role: "viewer", expiresAt });
    expect(made.headers.get("cache-control")).toBe("no-store");
    const { id, key } = made.json;
    expect((await api.get("/v1/me", { key })).json).toEqual({ id, name: "short", role: "viewer", projects: null });
    const listed = await api.get("/v1/api-keys");
    expect(listed.text).not.toContain(key);
    expect(listed.text).not.toContain(key.split("_").slice(2).join("_")); // a secret may hold _
    api.now = new Date(api.now.getTime() + HOUR);
    expect((await api.get("/v1/me", { key })).status).toBe(401);
    const { id: other, key: second } = (await api.post("/v1/api-keys", { name: "gone", role: "admin" })).json;
    expect((await api.request("DELETE", `/v1/api-keys/${other}`)).status).toBe(204);
    expect((await api.request("DELETE", `/v1/api-keys/${other}`)).status).toBe(204);
    expect((await api.get("/v1/me", { key: second })).status).toBe(401);
    expect((await api.get(`/v1/api-keys/${other}`)).json.revokedAt).toBe(api.now.toISOString());
  });

  it("are refused with an end that is none or too far away (B116)", async () => {
    for (const expiresAt of [
      "soon",
      "2020-01-01T00:00:00Z",
      "+275760-09-13T00:00:00.000Z",
      "2999-01-01T00:00:00Z",
      5,
    ]) {
      expect((await api.post("/v1/api-keys", { name: "k", role: "viewer", expiresAt })).status).toBe(422);
    }
    const xss = await api.post("/v1/api-keys", { name: "<script>alert(1)</script>", role: "viewer" });
    expect([xss.status, xss.json.name]).toEqual([201, "<script>alert(1)</script>"]);
  });

  it("note when they were last used, not more often than it matters", async () => {
    const { id, key } = (await api.post("/v1/api-keys", { name: "used", role: "viewer" })).json;
    const lastUsed = async () => (await api.get(`/v1/api-keys/${id}`)).json.lastUsedAt;
    await api.get("/v1/me", { key });
    const first = api.now.toISOString();
    while ((await lastUsed()) !== first) await new Promise(setImmediate);
    api.now = new Date(api.now.getTime() + 60_000);
    await api.get("/v1/me", { key });
    expect(await lastUsed()).toBe(first);
  });
});

describe("permissions", () => {
  it("are what the contract says of each role", () => {
    const of = (role: (typeof roles)[number]) =>
      Object.keys(permissions).filter((name) => isAllowed(role, name as Permission));
    expect(of("viewer").filter((name) => name.endsWith(".write"))).toEqual([]);
    expect(of("operator").filter((name) => name.endsWith(".write"))).toEqual([
      "blobs.write",
      "jobs.write",
      "batches.write",
      "runs.write",
    ]);
    expect(of("editor").filter((name) => name.endsWith(".write"))).toEqual([
      "environments.write",
      "workflows.write",
      "blobs.write",
      "jobs.write",
      "batches.write",
      "runs.write",
      "schedules.write",
    ]);
    expect(["operator", "viewer"].map((role) => of(role as "viewer").includes("schedules.trigger"))).toEqual([
      true,
      false,
    ]);
    expect(of("admin")).toEqual(Object.keys(permissions).filter((name) => name !== "gateway.use"));
    expect(Object.keys(permissions).filter((name) => isAllowed("runner", name as Permission))).toEqual([
      "health.read",
      "token.request",
      "gateway.use",
    ]);
    expect(isAllowed("admin", "no.such.permission" as Permission)).toBe(false);
    expect(isAllowed(null, "projects.read")).toBe(false);
  });

  it("do nothing for a key whose role nobody knows", async () => {
    expect((await api.get("/v1/projects", { key: await api.keyOf("superuser") })).status).toBe(403);
  });
});

describe("another project", () => {
  it("is out of a key's reach when it makes keys (B116)", async () => {
    const { id } = (await api.post("/v1/projects", { name: "third" })).json;
    const stranger = await api.keyOf("admin", [id]);
    const make = (body: object) => api.post("/v1/api-keys", { name: "k", role: "viewer", ...body }, { key: stranger });
    expect([(await make({})).status, (await make({ projects: null })).status]).toEqual([403, 403]);
    expect((await make({ projects: ["default"] })).status).toBe(422);
    expect((await make({ projects: ["third"] })).json.projects).toEqual([id]);
    expect((await api.post("/v1/projects", { name: "fourth" }, { key: stranger })).status).toBe(403);
    const { items } = (await api.get("/v1/api-keys", { key: stranger })).json;
    expect(items.every(({ projects }) => (projects as unknown as string[] | null)?.includes(id))).toBe(true);
  });
});
