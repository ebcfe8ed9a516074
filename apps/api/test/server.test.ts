import { execFileSync } from "node:child_process";
import { readFile, stat } from "node:fs/promises";
import https from "node:https";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { ensureAdminKey } from "../src/admin-key.js";
import { type ApiConfig, readConfig } from "../src/config.js";
import { aJob, aWorkflow } from "./rows.js";
import { openTestApi, type TestApi } from "./support.js";

let api: TestApi;

beforeEach(async () => {
  api = await openTestApi();
});

afterEach(() => api[Symbol.asyncDispose]());

describe("every answer", () => {
  it("carries what keeps a browser from making more of it (B121), and nothing that tells who answers", async () => {
    for (const path of ["/healthz", "/v1/me", "/v1/jobs/ghost", "/nowhere", "/metrics"]) {
      const { headers } = await api.get(path);
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("content-security-policy")).toBe("default-src 'none';frame-ancestors 'none'");
      expect(headers.get("cache-control")).toBe("no-store");
      expect([headers.get("x-powered-by"), headers.get("server"), headers.get("strict-transport-security")]).toEqual([
        null,
        null,
        null,
      ]);
      expect(headers.get("x-request-id")).toMatch(/^[\w-]{36}$/);
    }
  });

  it("says how long reading a request and the work for it took", async () => {
    const timing = /^read;dur=\d+\.\d, work;dur=\d+\.\d$/;
    expect((await api.get("/v1/me")).headers.get("server-timing")).toMatch(timing);
    expect((await api.get("/v1/me", { key: null })).headers.get("server-timing")).toBeNull();
  });

  it("keeps the request's own id where it is a plain one (B127)", async () => {
    const idOf = async (id: string) =>
      (await api.get("/v1/nothing", { headers: { "X-Request-Id": id } })).json.requestId;
    expect(await idOf("abc-1.2_3")).toBe("abc-1.2_3");
    expect(await idOf('a","level":"error')).toMatch(/^[\w-]{36}$/);
  });

  it("lets no other origin read it, preflight or not (B118)", async () => {
    const headers = { Origin: "https://evil.example", "Access-Control-Request-Method": "POST" };
    for (const method of ["OPTIONS", "GET"]) {
      const answer = await api.request(method, "/v1/jobs", { headers });
      expect([...answer.headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
    }
  });

  it("says of a failure of ours only under which id to look for it (B131)", async () => {
    const { sql } = api.db;
    const { get } = sql;
    Object.assign(sql, { get: () => Promise.reject(new TypeError(`secret at ${import.meta.url}`)) });
    const answer = await api.get("/v1/jobs/job_1");
    Object.assign(sql, { get });
    expect([answer.status, answer.json.code]).toEqual([500, "INTERNAL"]);
    expect(answer.text).not.toMatch(/secret|TypeError|file:/);
    const [entry] = api.logged.filter(({ level }) => level === "error");
    expect(entry).toMatchObject({ message: "a request failed", fields: { requestId: answer.json.requestId } });
    expect((await api.get("/v1/me")).status).toBe(200);
  });
});

describe("health", () => {
  it("is told without credentials, and tells nothing else (B130)", async () => {
    expect((await api.get("/healthz", { key: null })).json).toEqual({ status: "ok" });
    expect((await api.get("/readyz", { key: null })).json).toEqual({ status: "ok" });
    expect((await api.get("/metrics", { key: null })).status).toBe(401);
  });

  it("shows figures to who has a key", async () => {
    await aJob(api, await aWorkflow(api));
    const { text } = await api.get("/metrics");
    expect(text).toContain("maia_jobs_queued 1\n");
    expect(text).toMatch(/^# TYPE maia_http_requests_total counter$/m);
  });
});

describe("stopping", () => {
  it("lets requests in flight finish, refuses new ones, and ends although one never finishes (F06)", async () => {
    await api.put("/v1/workflows/hello", { steps: [{ key: "a", script: "x" }] });
    const waiting = api.post("/v1/jobs", { workflow: "hello" }, { headers: { Prefer: "wait=60" } });
    while ((await api.get("/v1/jobs")).json.items.length === 0) {}
    const slow = api.raw(`GET /v1/me HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${api.adminKey}\r\n`); // its end does not come
    const stopped = api.stop();
    expect((await waiting).status).toBe(201);
    await expect(fetch(`${api.url}/healthz`)).rejects.toThrow();
    await stopped;
    await slow;
  });
});

describe("the configuration", () => {
  it.each([
    [{ MAIA_API_HOST: "0.0.0.0" }, "MAIA_API_HOST"],
    [{ MAIA_API_HOST: "::" }, "MAIA_API_HOST"],
    [{ MAIA_TLS_CERT: "/x" }, "MAIA_TLS_CERT is set without"],
    [{ MAIA_TLS_KEY: "/x" }, "MAIA_TLS_KEY is set without"],
    [{ MAIA_TRUST_PROXY: "maybe?" }, "MAIA_TRUST_PROXY"],
    [{ MAIA_API_PORT: "70000" }, "MAIA_API_PORT"],
  ])("refuses %p with words", (env, words) => expect(() => readConfig(env)).toThrow(words));

  it.each([
    [{ MAIA_API_HOST: "0.0.0.0", MAIA_TRUST_PROXY: "true" }, 1],
    [{ MAIA_API_HOST: "0.0.0.0", MAIA_TRUST_PROXY: "2" }, 2],
    [{ MAIA_TRUST_PROXY: "10.0.0.0/8, ::1" }, ["10.0.0.0/8", "::1"]],
    [{ MAIA_TRUST_PROXY: "false" }, null],
  ])("takes %p", (env, trustProxy) => expect(readConfig(env).trustProxy).toEqual(trustProxy));

  it("is checked again where the server starts", async () => {
    await expect(openTestApi({ host: "0.0.0.0" })).rejects.toThrow("MAIA_TRUST_PROXY");
  });

  it("does not believe what a stranger says about where a request came from (B122)", async () => {
    const forwarded = {
      "X-Forwarded-For": "1.2.3.4",
      "X-Forwarded-Proto": "https",
      "X-Forwarded-Host": "evil.example",
    };
    await api.post("/v1/projects", { name: "p" }, { headers: forwarded });
    const rows = await api.db.models.auditEvent.findMany();
    expect(rows.map(({ ip }) => ip)).toEqual(["127.0.0.1"]);
  });

  it("names the variables when a certificate cannot be used", async () => {
    const tls: ApiConfig["tls"] = { certFile: "/nowhere/cert.pem", keyFile: "/nowhere/key.pem" };
    await expect(openTestApi({ tls })).rejects.toThrow(/^MAIA_TLS_CERT \(\/nowhere\/cert\.pem\) .*ENOENT/);
  });

  it("serves TLS where it has a certificate, and says so", async () => {
    const at = (name: string) => join(api.dataDir.root, name);
    execFileSync(
      "openssl",
      [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "1",
        "-subj",
        "/CN=localhost",
        "-keyout",
        at("key.pem"),
        "-out",
        at("cert.pem"),
      ],
      { stdio: "ignore" },
    );
    const tls: ApiConfig["tls"] = { certFile: at("cert.pem"), keyFile: at("key.pem") };
    await using secure = await openTestApi({ tls });
    expect(secure.url).toMatch(/^https:/);
    const ca = await readFile(at("cert.pem"));
    const headers = await new Promise<Record<string, unknown>>((resolve, reject) => {
      const port = new URL(secure.url).port;
      https
        .get({ host: "127.0.0.1", port, path: "/healthz", ca, servername: "localhost" }, (res) =>
          resolve(res.resume().headers),
        )
        .on("error", reject);
    });
    expect(headers["strict-transport-security"]).toBe("max-age=31536000; includeSubDomains");
  });
});

describe("the administrator's key", () => {
  it("is made on the first start, for its owner's eyes, and kept", async () => {
    const { adminKey } = api.dataDir;
    expect((await readFile(adminKey, "utf8")).trim()).toBe(api.adminKey);
    expect((await stat(adminKey)).mode & 0o777).toBe(0o600);
    expect(await ensureAdminKey(api.db, api.dataDir, api.now)).toEqual({ key: api.adminKey, isNew: false });
    expect((await api.get("/v1/me")).json).toMatchObject({ role: "admin", projects: null });
  });
});
