import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { HOUR } from "@maia/domain";
import { isAllowed, type Permission, permissions, roles } from "../src/permissions.js";
import { routes } from "../src/routes/index.js";
import { aRun, aWorkflow } from "./rows.js";
import { openTestApi, type TestApi } from "./support.js";

let api: TestApi;
const keys = new Map<string, string>();

beforeAll(async () => {
  api = await openTestApi();
  for (const role of roles) keys.set(role, await api.keyOf(role));
});

afterAll(() => api[Symbol.asyncDispose]());

const me = (headers: Record<string, string>) => api.get("/v1/me", { key: null, headers });
const pathOf = (path: string) => path.replace(/\{\w+\}/g, "nothing");

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
  it("hold role by role, route by route (G31)", async () => {
    for (const route of routes) {
      const permission: Permission = route.permission;
      for (const role of [null, ...roles]) {
        const method = route.method.toUpperCase();
        const options = {
          key: role && keys.get(role)!,
          headers: { "Content-Type": "text/plain" },
          ...(method === "GET" || method === "HEAD" ? {} : { body: "x" }),
        };
        if (route.operationId === "followAll" && role !== null) continue;
        if (route.operationId === "createJob" || !isAllowed(role, permission) || method === "GET") {
          const { status } = await api.request(method, pathOf(route.path), options);
          const wanted = isAllowed(role, permission) ? "let in" : role === null ? 401 : 403;
          const got = status === 401 || status === 403 ? status : "let in";
          expect([method, route.path, role, got]).toEqual([method, route.path, role, wanted]);
        }
      }
    }
  });

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

describe("another project's objects", () => {
  it("are answered like missing ones, by id and by name (G31)", async () => {
    const { id } = (await api.post("/v1/projects", { name: "elsewhere" })).json;
    const stranger = await api.keyOf("admin", [id]);
    const workflow = await aWorkflow(api, "mine");
    const run = await aRun(api, workflow);
    const schedule = await api.post("/v1/schedules", { workflow: workflow.id, kind: "interval", intervalMs: 60_000 });
    const { id: scheduleId } = schedule.json;
    const batch = (await api.post("/v1/batches", { workflow: "mine", items: [{}] })).json.id;
    const paths = [
      `/v1/schedules/${scheduleId}`, `/v1/schedules/${scheduleId}/upcoming`, `/v1/schedules/${scheduleId}/ticks`,
      `/v1/workflows/${workflow.id}`, "/v1/workflows/mine", "/v1/workflows/mine?project=default", `/v1/workflows/${workflow.id}/versions`,
      `/v1/workflows/${workflow.id}/versions/1`, `/v1/jobs/${run.jobId}`, `/v1/jobs/${run.jobId}/why`, `/v1/runs/${run.id}`,
      `/v1/runs/${run.id}/logs`, `/v1/runs/${run.id}/events`, `/v1/runs/${run.id}/artifacts`, `/v1/batches/${batch}`,
      "/v1/projects/default", `/v1/projects/${workflow.projectId}`,
      "/v1/projects/default/environments", "/v1/projects/default/environments/default",
    ]; // biome-ignore format: a list of paths
    for (const path of paths) {
      if (!path.endsWith("events")) expect([path, (await api.get(path)).status]).toEqual([path, 200]);
      const theirs = await api.get(path, { key: stranger });
      expect([path, theirs.status, theirs.json.code]).toEqual([path, 404, "NOT_FOUND"]);
    }
    for (const list of ["projects", "workflows", "jobs", "runs", "schedules", "batches"]) {
      const { items } = (await api.get(`/v1/${list}`, { key: stranger })).json;
      expect(items.filter((item: { id: string; projectId?: string }) => (item.projectId ?? item.id) !== id)).toEqual(
        [],
      );
    }
    expect((await api.request("DELETE", `/v1/workflows/${workflow.id}`, { key: stranger })).status).toBe(404);
    expect((await api.request("DELETE", `/v1/schedules/${scheduleId}`, { key: stranger })).status).toBe(404);
    expect((await api.post(`/v1/schedules/${scheduleId}/trigger`, {}, { key: stranger })).status).toBe(404);
    for (const end of ["results", "cancel", "pause", "resume", "retry"]) {
      const method = end === "results" ? "GET" : "POST";
      const theirs = await api.request(method, `/v1/batches/${batch}/${end}`, { key: stranger });
      expect([end, theirs.status]).toEqual([end, 404]);
    }
  });

  it("are out of a key's reach when it makes keys (B116)", async () => {
    const { id } = (await api.post("/v1/projects", { name: "third" })).json;
    const stranger = await api.keyOf("admin", [id]);
    const make = (body: object) => api.post("/v1/api-keys", { name: "k", role: "viewer", ...body }, { key: stranger });
    expect([(await make({})).status, (await make({ projects: null })).status]).toEqual([403, 403]);
    expect((await make({ projects: ["default"] })).status).toBe(422);
    expect((await make({ projects: ["third"] })).json.projects).toEqual([id]);
    expect((await api.post("/v1/projects", { name: "fourth" }, { key: stranger })).status).toBe(403);
    const { items } = (await api.get("/v1/api-keys", { key: stranger })).json;
    expect(items.every(({ projects }: { projects: string[] }) => projects?.includes(id))).toBe(true);
  });
});
