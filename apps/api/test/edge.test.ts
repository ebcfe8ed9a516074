import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { auditAfter } from "@maia/db";
import { BAD_CREDENTIALS_PER_MINUTE } from "../src/auth.js";
import { aRun, aWorkflow, endRun } from "./rows.js";
import { type Answer, openTestApi, type TestApi } from "./support.js";

let api: TestApi;

beforeEach(async () => {
  api = await openTestApi();
});

afterEach(() => api[Symbol.asyncDispose]());

const wrongKey = `mk_01kc1x0000000000000000000a_${"x".repeat(43)}`;

describe("whoever keeps trying credentials (B115)", () => {
  const tries = async (at: TestApi, headers: Record<string, string> = {}): Promise<Answer[]> => {
    const answers: Answer[] = [];
    for (let i = 0; i < BAD_CREDENTIALS_PER_MINUTE; i++)
      answers.push(await at.get("/v1/me", { key: wrongKey, headers }));
    return answers;
  };

  it("is told to wait, and for how long; others from the same address are served", async () => {
    expect(new Set((await tries(api)).map(({ status }) => status))).toEqual(new Set([401]));
    api.now = new Date(api.now.getTime() + 45_000);
    const limited = await api.get("/v1/me", { key: wrongKey });
    expect([limited.status, limited.json.code, limited.headers.get("retry-after")]).toEqual([
      429,
      "RATE_LIMITED",
      "15",
    ]);
    expect((await api.get("/v1/me")).status).toBe(200);
    expect((await api.get("/v1/me", { key: null })).status).toBe(401);
    api.now = new Date(api.now.getTime() + 15_000);
    expect((await api.get("/v1/me", { key: wrongKey })).status).toBe(401);
  });

  it("gets the same answer whatever is wrong: no such key, another secret, odd characters, a megabyte", async () => {
    const { adminKey } = api;
    const odd = [wrongKey, `${adminKey.slice(0, -1)}_`, adminKey.toUpperCase(), `${adminKey}\u00e9`, "mk__", "a.b.c"];
    const told = new Set<string>();
    for (const key of odd) {
      const { status, text, json } = await api.get("/v1/me", { key });
      told.add(`${status} ${text.replace(json.requestId, "")}`);
    }
    expect(told.size).toBe(1);
    const long = await api.raw(
      `GET /v1/me HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${"x".repeat(1_000_000)}\r\n\r\n`,
      /\}$/,
    );
    expect(long).toMatch(/^HTTP\/1\.1 431 /);
  });

  it("cannot seem to come from elsewhere, unless a proxy that is trusted says so (B122)", async () => {
    for (let i = 0; i < BAD_CREDENTIALS_PER_MINUTE; i++)
      await api.get("/v1/me", { key: wrongKey, headers: { "X-Forwarded-For": `10.0.0.${i}` } });
    expect((await api.get("/v1/me", { key: wrongKey, headers: { "X-Forwarded-For": "10.0.1.1" } })).status).toBe(429);
    await using behind = await openTestApi({ trustProxy: 1 });
    await tries(behind, { "X-Forwarded-For": "9.9.9.9, 10.0.0.1" });
    const from = (address: string) => behind.get("/v1/me", { key: wrongKey, headers: { "X-Forwarded-For": address } });
    expect([(await from("8.8.8.8, 10.0.0.1")).status, (await from("10.0.0.2")).status]).toEqual([429, 401]);
    await behind.post("/v1/projects", { name: "p" }, { headers: { "X-Forwarded-For": "9.9.9.9, 10.0.0.7" } });
    const entries = await auditAfter(behind.db.sql, 0, 100);
    expect(entries.find(({ action }) => action === "project.create")).toMatchObject({ ip: "10.0.0.7" });
  });
});

describe("a page of another site", () => {
  const evil = "https://evil.example";
  const asks: readonly (readonly [string, string, Record<string, string>])[] = [
    ["GET", "/v1/jobs", { Origin: evil }],
    ["GET", "/v1/events", { Origin: evil, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", Cookie: "key=x" }],
    ["GET", "/v1/events", { "Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors" }],
    ["GET", "/v1/me", { Origin: "null" }],
    ["GET", "/v1/me", { "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe" }],
    ["POST", "/v1/jobs", { Origin: evil, "Content-Type": "text/plain" }],
    ["POST", "/oauth/token", { Origin: evil, "Content-Type": "application/x-www-form-urlencoded" }],
    [
      "POST",
      "/v1/projects",
      { "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document" },
    ],
    ["OPTIONS", "/v1/jobs", { Origin: evil, "Access-Control-Request-Method": "POST" }],
  ];

  it.each(asks)("is refused: %s %s with %p (B117, B118, B119)", async (method, path, headers) => {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    for (const auth of ["", `Authorization: Bearer ${api.adminKey}\r\n`]) {
      const body = method === "POST" ? "Content-Length: 2\r\n\r\n{}" : "\r\n";
      const text = await api.raw(
        `${method} ${path} HTTP/1.1\r\nHost: localhost\r\n${auth}${lines.join("")}${body}`,
        /\}$/,
      );
      expect(text).toMatch(/^HTTP\/1\.1 403 .*"code":"FORBIDDEN"/s);
      expect(text).not.toMatch(/access-control/i);
    }
  });

  it("is told from our own pages, from what is no browser, and from a link that somebody follows", async () => {
    const { host } = new URL(api.url);
    const fine: readonly Record<string, string>[] = [
      {},
      { Origin: `http://${host}` },
      { Origin: "https://maia.example", "Sec-Fetch-Site": "same-origin" },
      { "Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document" },
    ];
    const link = "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document";
    const followed = `GET /v1/me HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${api.adminKey}\r\n${link}\r\n\r\n`;
    expect(await api.raw(followed, /\}$/)).toMatch(/^HTTP\/1\.1 200 /);
    for (const headers of fine)
      expect([headers, (await api.get("/v1/me", { headers })).status]).toEqual([headers, 200]);
    await using known = await openTestApi({ publicUrl: new URL("https://maia.example/") });
    expect((await known.get("/v1/me", { headers: { Origin: "https://maia.example" } })).status).toBe(200);
    expect((await known.get("/v1/me", { headers: { Origin: evil } })).status).toBe(403);
  });

  it("that has a name for this machine reaches nothing (B120)", async () => {
    for (const host of ["evil.example", "evil.example:3690", "localhost.evil.example", "127.0.0.1.nip.io"]) {
      const text = `GET /v1/me HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${api.adminKey}\r\n\r\n`;
      expect(await api.raw(text, /\}$/)).toMatch(/^HTTP\/1\.1 421 /);
    }
  });
});

describe("every answer", () => {
  it("is for its reader alone and is nothing but data: also refusals, streams and what is no HTTP (B121)", async () => {
    const run = await aRun(api, await aWorkflow(api));
    await endRun(api, run);
    const viewer = await api.keyOf("viewer");
    const heads = [
      `GET /v1/runs/${run.id}/events?until=end HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${viewer}`,
      `GET /v1/runs/${run.id}/logs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${viewer}`,
      "GET /v1/me HTTP/1.1\r\nHost: localhost",
      `POST /v1/projects HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${viewer}`,
      "GET /nowhere HTTP/1.1\r\nHost: localhost",
      "PATCH /healthz HTTP/1.1\r\nHost: localhost",
      "GET /healthz HTTP/1.1\r\nHost: evil.example",
      "GET /v1/me HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example",
      "GET /healthz HTTP/1.1",
      "NO HTTP AT ALL",
      "GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: x",
    ];
    for (const head of heads) {
      const text = (await api.raw(`${head}\r\nConnection: close\r\n\r\n`)).toLowerCase();
      const [told] = text.split("\r\n\r\n");
      expect(told).toMatch(/^http\/1\.1 [2-4]\d\d /);
      expect({ head, told }).toMatchObject({ told: expect.stringContaining("x-content-type-options: nosniff") });
      expect({ head, told }).toMatchObject({ told: expect.stringMatching(/cache-control: no-store/) });
      expect({ head, told }).toMatchObject({
        told: expect.stringContaining("content-security-policy: default-src 'none'"),
      });
      expect(told).not.toMatch(/x-powered-by|\r\nserver:|access-control/);
    }
  });

  it("of no failure shows where in the code it happened (B131)", async () => {
    const seen = [
      await api.get("/v1/jobs?cursor=garbage"), await api.get("/v1/me", { key: null }), await api.get("/v1/jobs/job_x"),
      await api.request("DELETE", "/v1/me"), await api.post("/v1/projects", { name: 5 }), await api.request("POST", "/v1/projects", { body: "x" }),
      await api.get("/v1/audit-events", { key: await api.keyOf("viewer") }),
    ]; // biome-ignore format: a list of answers
    expect(seen.map(({ status }) => status)).toEqual([400, 401, 404, 405, 422, 415, 403]);
    for (const { text, json, status, headers } of seen) {
      expect(json).toMatchObject({ status, requestId: headers.get("x-request-id"), code: expect.any(String) });
      expect(text).not.toMatch(/ at .+:\d+|node_modules|\.[jt]s\b|Error/);
    }
  });
});

describe("the audit log's list (B128)", () => {
  it("takes plain filters and its own cursors, from those who may read it", async () => {
    for (let i = 0; i < 3; i++) await api.post("/v1/projects", { name: `p${i}` });
    for (const role of ["viewer", "operator", "editor"])
      expect((await api.get("/v1/audit-events", { key: await api.keyOf(role) })).status).toBe(403);
    const odd = [
      "actor[$ne]=x",
      "actor[]=x",
      "actor=x&actor=y",
      "where=1",
      "limit=0",
      "limit=101",
      "order=up",
      "after=-1",
      "actor=",
    ];
    for (const query of odd.slice(0, -1))
      expect([query, (await api.get(`/v1/audit-events?${query}`)).status]).toEqual([query, 422]);
    for (const value of ["x' OR '1'='1", "%", "*", '{"$gt":""}'])
      expect((await api.get(`/v1/audit-events?actor=${encodeURIComponent(value)}`)).json.items).toEqual([]);
    const { nextCursor } = (await api.get("/v1/audit-events?limit=1")).json;
    const tampered = [
      "garbage",
      `${nextCursor}x`,
      nextCursor.slice(0, -1),
      "",
      "-1",
      "1e3",
      Buffer.from("-5").toString("base64url"),
    ];
    for (const cursor of tampered) {
      const answer = await api.get(`/v1/audit-events?cursor=${encodeURIComponent(cursor)}`);
      expect([cursor, answer.status]).toEqual([cursor, 400]);
    }
  });
});

describe("the process's log (B127)", () => {
  it("has one line of JSON for each thing, whatever a request puts into it", async () => {
    const main = join(import.meta.dirname, "../dist/main.js");
    const env = {
      PATH: process.env.PATH,
      MAIA_DATA_DIR: join(api.dataDir.root, "another"),
      MAIA_API_PORT: "0",
      MAIA_LOG_LEVEL: "debug",
    };
    const child = spawn(process.execPath, [main], { env, stdio: ["ignore", "ignore", "pipe"] });
    let text = "";
    child.stderr.setEncoding("utf8").on("data", (chunk) => {
      text += chunk;
    });
    const lines = () =>
      text
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line));
    while (!/"listening"/.test(text)) await new Promise((resolve) => setTimeout(resolve, 10));
    const { url } = lines().find(({ message }) => message === "listening");
    const nasty = '\u001b[31mred\u001b[0m","level":"error"}';
    await fetch(`${url}/v1/me?x=%0d%0a%7B%22level%22%3A%22error%22%7D${encodeURIComponent(nasty)}`, {
      headers: {
        "User-Agent": 'a","level":"error',
        "X-Request-Id": 'a","level":"error',
        Authorization: `Bearer ${wrongKey}`,
      },
    });
    child.kill("SIGTERM");
    await once(child, "close");
    expect(lines().filter(({ level }) => level === "error")).toEqual([]);
    expect(text).not.toContain("\u001b");
    expect(text).not.toContain(wrongKey);
  });
});
