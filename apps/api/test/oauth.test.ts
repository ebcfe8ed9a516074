import { readFile, rm, stat, writeFile } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { auditAfter } from "@maia/db";
import { MINUTE, sha256Hex } from "@maia/domain";
import { decodeProtectedHeader, SignJWT } from "jose";
import { TokenLimits } from "../src/oauth/exchange.js";
import { SigningKeys } from "../src/oauth/signing-keys.js";
import { aRunner } from "./fleet.js";
import { type Answer, openTestApi, type TestApi } from "./support.js";

let api: TestApi;
let client: { id: string; secret: string };

beforeEach(async () => {
  api = await openTestApi();
  client = clientOf(await api.keyOf("operator"));
});

afterEach(() => api[Symbol.asyncDispose]());

function clientOf(key: string): { id: string; secret: string } {
  const [, id, ...secret] = key.split("_");
  return { id: `key_${id}`, secret: secret.join("_") };
}

const FORM = "application/x-www-form-urlencoded";
const GRANT = { grant_type: "client_credentials" };

function asking(fields: Record<string, string> | string, headers: Record<string, string> = {}): Promise<Answer> {
  const body = typeof fields === "string" ? fields : new URLSearchParams(fields).toString();
  return api.request("POST", "/oauth/token", { key: null, headers: { "Content-Type": FORM, ...headers }, body });
}

const inBody = ({ id, secret } = client, more: Record<string, string> = {}) =>
  asking({ ...GRANT, client_id: id, client_secret: secret, ...more });
const basic = (id: string, secret: string) => ({
  Authorization: `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString("base64")}`,
});
const tokenOf = async (who = client) => (await inBody(who)).json.access_token as string;
const me = (key: string) => api.get("/v1/me", { key });
const later = (ms: number) => {
  api.now = new Date(api.now.getTime() + ms);
};

describe("a token", () => {
  it("is given in exchange for a client's id and secret, by Basic or in the body, and does what the key may", async () => {
    const byBody = await inBody();
    expect([byBody.status, byBody.headers.get("cache-control"), byBody.headers.get("pragma")]).toEqual([
      200,
      "no-store",
      "no-cache",
    ]);
    expect(byBody.json).toEqual({ access_token: expect.any(String), token_type: "Bearer", expires_in: 900 });
    const byBasic = await asking(GRANT, basic(client.id, client.secret));
    for (const { json } of [byBody, byBasic]) {
      const key = json.access_token;
      expect((await me(key)).json).toEqual({ id: client.id, name: "operator", role: "operator", projects: null });
      expect((await api.post("/v1/projects", { name: "no" }, { key })).status).toBe(403);
    }
    expect((await inBody(client, { audience: "maia" })).status).toBe(200);
  });

  it("sees the projects of its key and no others", async () => {
    const { id } = (await api.post("/v1/projects", { name: "one" })).json;
    const key = await tokenOf(clientOf(await api.keyOf("viewer", [id])));
    expect((await api.get("/v1/projects", { key })).json.items.map(({ name }: { name: string }) => name)).toEqual([
      "one",
    ]);
    expect((await api.get("/v1/projects/default", { key })).status).toBe(404);
  });

  it("ends after its time, and with its key", async () => {
    const key = await tokenOf();
    later(15 * MINUTE - 1_000);
    expect((await me(key)).status).toBe(200);
    later(1_000);
    expect((await me(key)).status).toBe(401);
    const another = await tokenOf();
    expect((await api.request("DELETE", `/v1/api-keys/${client.id}`)).status).toBe(204);
    expect((await me(another)).status).toBe(401);
    expect((await inBody()).status).toBe(401);
  });

  it("is signed with a key that its owner alone can read, and by nobody else", async () => {
    const key = await tokenOf();
    expect((await stat(api.dataDir.tokenKey)).mode & 0o777).toBe(0o600);
    const { alg, kid } = decodeProtectedHeader(key);
    expect(alg).toBe("EdDSA");
    const mine = await new SigningKeys(api.dataDir.tokenKey).current();
    const claims = JSON.parse(Buffer.from(key.split(".")[1]!, "base64url").toString());
    const signed = (change: object, header = {}) =>
      new SignJWT({ ...claims, ...change })
        .setProtectedHeader({ alg: "EdDSA", typ: "at+jwt", kid: kid!, ...header })
        .sign(mine.privateKey);
    expect((await me(await signed({}))).status).toBe(200);
    const [head, body, signature] = key.split(".") as [string, string, string];
    const none = Buffer.from('{"alg":"none","typ":"at+jwt"}').toString("base64url");
    const hmac = await new SignJWT(claims)
      .setProtectedHeader({ alg: "HS256", typ: "at+jwt", kid: kid! })
      .sign(Buffer.alloc(32));
    const forged = [
      await signed({ iss: "another" }), await signed({ aud: "another" }), await signed({ exp: undefined }), await signed({ sub: "key_nobody" }),
      await signed({ cred: "0".repeat(32) }), await signed({ sub: undefined }), await signed({ jti: undefined }), await signed({}, { typ: "JWT" }),
      await signed({}, { kid: "another" }), await signed({}, { kid: undefined }), hmac, `${none}.${body}.`, `${none}.${body}.x`, `${head}.${body}.${signature.slice(2)}AA`,
      `${head}.${Buffer.from(JSON.stringify({ ...claims, sub: "key_other" })).toString("base64url")}.${signature}`, "a.b.c", "..", `${key}.x`,
    ]; // biome-ignore format: a list of tokens
    for (const token of forged) {
      const answer = await me(token);
      expect([token, answer.status, answer.json.code]).toEqual([token, 401, "UNAUTHENTICATED"]);
    }
  });

  it("counts while the key that signed it is in the file: a new one is put before it, and it is taken out later", async () => {
    const before = await tokenOf();
    const old = await readFile(api.dataDir.tokenKey, "utf8");
    await writeFile(api.dataDir.tokenKey, `${Buffer.alloc(32, 7).toString("base64")}\n${old}`);
    const kid = (token: string) => decodeProtectedHeader(token).kid;
    const soon = async (until: () => Promise<boolean>) => {
      for (let ok = false; !ok; ok = await until()) await new Promise((resolve) => setTimeout(resolve, 20));
    };
    await soon(async () => {
      later(MINUTE / 10);
      return kid(await tokenOf()) !== kid(before);
    });
    const after = await tokenOf();
    expect([(await me(before)).status, (await me(after)).status]).toEqual([200, 200]);
    await writeFile(api.dataDir.tokenKey, `${Buffer.alloc(32, 7).toString("base64")}\n`);
    await soon(async () => (await me(before)).status === 401);
    expect((await me(after)).status).toBe(200);
    await rm(api.dataDir.tokenKey);
    await soon(async () => (await me(after)).status === 401);
    expect((await me(await tokenOf())).status).toBe(200);
  });

  it("lets one follow events until it ends or its key is revoked", async () => {
    await using short = await openTestApi({ sseHeartbeatMs: 20 });
    const key = await short.keyOf("viewer");
    const { id, secret } = clientOf(key);
    const form = new URLSearchParams({ ...GRANT, client_id: id, client_secret: secret }).toString();
    const issue = () =>
      short.request("POST", "/oauth/token", { key: null, headers: { "Content-Type": FORM }, body: form });
    const follow = async () => {
      const token = (await issue()).json.access_token;
      const res = await fetch(`${short.url}/v1/events`, { headers: { Authorization: `Bearer ${token}` } });
      expect(res.status).toBe(200);
      return res.text();
    };
    const first = follow();
    while ((await short.get("/metrics")).text.includes("maia_sse_streams 0")) {}
    short.now = new Date(short.now.getTime() + 15 * MINUTE);
    await first;
    const second = follow();
    while ((await short.get("/metrics")).text.includes("maia_sse_streams 0")) {}
    await short.request("DELETE", `/v1/api-keys/${id}`);
    await second;
  });

  it("of a runner opens no route of users (B103), and ends when its secret is another one", async () => {
    const { id, secret } = await aRunner(api, "north");
    const key = await tokenOf({ id, secret });
    expect((await me(key)).json).toMatchObject({
      status: 403,
      detail: "A runner's token is for the runner's own routes only",
    });
    const refresh = (secretHash: string | null) =>
      api.db.write(({ models }) => models.runner.update({ where: { id }, data: { secretHash } }));
    await refresh(sha256Hex("the second"));
    expect([(await me(key)).status, (await inBody({ id, secret })).status]).toEqual([401, 401]);
    const second = await tokenOf({ id, secret: "the second" });
    await refresh(null);
    expect([(await me(second)).status, (await inBody({ id, secret: "" })).status]).toEqual([401, 401]);
  });

  it("is in the audit log, with who has it, and notes the use of its key", async () => {
    await tokenOf();
    const rows = await auditAfter(api.db.sql, 0, 10);
    expect(rows.at(-1)).toMatchObject({ action: "token.issue", actor: client.id, target: client.id, outcome: "ok" });
    expect((await api.get(`/v1/api-keys/${client.id}`)).json.lastUsedAt).toBe(api.now.toISOString());
  });
});

describe("a fleet behind one address", () => {
  it("gets its tokens although hundreds of processes start all at once (B113)", async () => {
    const fleet = await Promise.all(Array.from({ length: 300 }, () => inBody()));
    expect(new Set(fleet.map(({ status }) => status))).toEqual(new Set([200]));
  });

  it("gets them with the new secret while some of its processes still come with the old one (B113)", async () => {
    const old = { ...client, secret: "x".repeat(43) };
    for (let i = 0; i < 80; i++) await inBody(i < 20 ? old : { id: `key_${i}`, secret: "x" });
    expect((await inBody(old)).status).toBe(429);
    expect((await inBody()).status).toBe(200);
  });
});

describe("a request for a token is refused (B113)", () => {
  const refused = ({ status, json }: Answer) => [status, json.error, json.code];

  it("in the same words, whether there is no such client or its secret is another one", async () => {
    const wrong = [
      await inBody({ ...client, secret: "x".repeat(43) }),
      await inBody({ id: "key_01kc1x0000000000000000000a", secret: client.secret }),
      await inBody({ id: "nobody", secret: "" }),
      await inBody({ id: "", secret: "" }),
      await inBody({ id: `${client.id}\0`, secret: client.secret }),
      await inBody({ id: client.id.replace("k", "\u212a"), secret: client.secret }),
      await inBody({ id: "__proto___x", secret: client.secret }),
      await inBody(client, { audience: "another" }),
      await asking(GRANT, basic(client.id, "")),
      await asking(GRANT, { Authorization: "Basic !!" }),
      await asking(GRANT, { Authorization: `Bearer ${client.secret}` }),
    ];
    const [first] = wrong;
    expect(refused(first!)).toEqual([401, "invalid_client", "UNAUTHENTICATED"]);
    expect(first!.headers.get("www-authenticate")).toBe('Basic realm="maia"');
    expect(first!.headers.get("content-type")).toBe("application/json");
    const told = ({ text, json }: Answer) => text.replace(json.requestId, "");
    for (const answer of wrong) expect(told(answer)).toBe(told(first!));
  });

  it("with what is wrong, where it is no question of who asks", async () => {
    const { id, secret } = client;
    const all = { ...GRANT, client_id: id, client_secret: secret };
    expect(refused(await asking({ ...all, grant_type: "password" }))).toEqual([
      400,
      "unsupported_grant_type",
      "BAD_REQUEST",
    ]);
    expect(refused(await asking({ client_id: id, client_secret: secret }))).toEqual([
      400,
      "invalid_request",
      "BAD_REQUEST",
    ]);
    expect(refused(await asking(all, basic(id, secret)))).toEqual([400, "invalid_request", "BAD_REQUEST"]);
    expect(refused(await asking({ ...all, scope: "admin" }))).toEqual([400, "invalid_scope", "BAD_REQUEST"]);
    expect(refused(await inBody({ id: "k".repeat(600), secret }))).toEqual([400, "invalid_request", "BAD_REQUEST"]);
    expect(refused(await inBody({ id, secret: "s".repeat(600) }))).toEqual([400, "invalid_request", "BAD_REQUEST"]);
    expect(refused(await asking(`${new URLSearchParams(all)}&client_id=${id}`))).toEqual([
      400,
      "invalid_request",
      "BAD_REQUEST",
    ]);
    expect(refused(await asking(JSON.stringify(all), { "Content-Type": "application/json" }))).toEqual([
      400,
      "invalid_request",
      "BAD_REQUEST",
    ]);
    expect((await asking({ ...all, client_secret: "s".repeat(1_000_000) })).status).toBe(413);
    const inAddress = await api.request("POST", `/oauth/token?${new URLSearchParams(all)}`, { key: null });
    expect([inAddress.status, inAddress.text.includes(secret)]).toEqual([401, false]);
    expect((await api.request("GET", "/oauth/token", { key: null })).status).toBe(405);
  });

  it("after ten wrong secrets in a minute, with when to come back, for that client and address only", async () => {
    const wrong = () => inBody({ ...client, secret: "x".repeat(43) });
    for (let i = 0; i < 10; i++) expect((await wrong()).status).toBe(401);
    later(20_000);
    const limited = await wrong();
    expect(refused(limited)).toEqual([429, "temporarily_unavailable", "RATE_LIMITED"]);
    expect(limited.headers.get("retry-after")).toBe("40");
    expect((await inBody({ ...clientOf(await api.keyOf("viewer")), secret: "x" })).status).toBe(401);
    later(40_000);
    expect((await wrong()).status).toBe(401);
  });

  it("after sixty failures of an address in a minute, whichever clients they name", async () => {
    for (let i = 0; i < 60; i++) expect((await inBody({ id: `key_${i}`, secret: "x" })).status).toBe(401);
    const more = () => inBody({ id: "key_more", secret: "x" });
    expect((await more()).status).toBe(429);
    later(MINUTE);
    expect((await more()).status).toBe(401);
  });

  it("after 1,200 of one client at one address in a minute, whatever its secret", async () => {
    const limits = new TokenLimits();
    for (let i = 0; i < 1_200; i++) limits.admit("rnr_fleet", "192.0.2.1", api.now);
    expect(() => limits.admit("rnr_fleet", "192.0.2.1", api.now)).toThrow("Too many requests");
    limits.admit("rnr_fleet", "192.0.2.2", api.now);
    limits.admit("rnr_other", "192.0.2.1", api.now);
  });
});
