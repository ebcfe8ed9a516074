import { createHash, randomBytes } from "node:crypto";
import { request } from "node:http";
import { createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { PROTOCOL_VERSION } from "@maia/runner-protocol";
import { openTestRunner, type TestRunner, TOKEN, until, upload } from "./support/runner.js";
import { aTask } from "./support/tasks.js";

let runner: TestRunner;
beforeAll(async () => {
  runner = await openTestRunner({ MAIA_STREAM_HEARTBEAT_MS: "50", MAIA_URL_ALLOW: "127.0.0.1" });
});
afterAll(async () => runner[Symbol.asyncDispose]());

interface Answer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly text: string;
}

/** Sends a request as it is, header by header. */
function send(method: string, path: string, headers: readonly string[] = [], body?: string | Buffer): Promise<Answer> {
  const { hostname, port } = new URL(runner.url);
  return new Promise((resolve, reject) => {
    const all = ["host", `${hostname}:${port}`, "connection", "close", ...headers];
    const sent = request({ hostname, port, path, method, headers: all as never, agent: false }, (res) => {
      const chunks: Buffer[] = [];
      res.on("data", (chunk) => chunks.push(chunk));
      res.on("end", () =>
        resolve({ status: res.statusCode!, headers: res.headers, text: Buffer.concat(chunks).toString() }),
      );
      res.on("error", reject);
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

const bearer = ["authorization", `Bearer ${TOKEN}`];
const json = (value: unknown) => {
  const body = JSON.stringify(value);
  return [
    [...bearer, "content-type", "application/json", "content-length", String(Buffer.byteLength(body))],
    body,
  ] as const;
};
const post = (path: string, value: unknown) => send("POST", path, ...json(value));
const problem = ({ text }: Answer) => JSON.parse(text);

describe("a runner's door", () => {
  it("is open for healthz alone, and names ledger and protocol on every answer", async () => {
    const health = await send("GET", "/healthz");
    expect(health.status).toBe(200);
    expect(problem(health)).toMatchObject({
      ok: true,
      ledgerId: runner.runner.ledgerId,
      protocol: PROTOCOL_VERSION,
      isolation: "pid-namespace",
      stopping: false,
    });
    for (const answer of [health, await send("GET", "/v1/exec/att_1"), await send("GET", "/nothing", bearer)]) {
      expect(answer.headers["maia-ledger"]).toBe(runner.runner.ledgerId);
      expect(answer.headers["maia-protocol"]).toBe(PROTOCOL_VERSION);
    }
  });

  it.each([
    ["no token", [], ""],
    ["a wrong token of the same length", ["authorization", `Bearer ${TOKEN.replace("a", "b")}`], ""],
    ["the beginning of the token", ["authorization", `Bearer ${TOKEN.slice(0, -1)}`], ""],
    ["an empty token", ["authorization", "Bearer "], ""],
    ["a lower-case scheme", ["authorization", `bearer ${TOKEN}`], ""],
    ["another scheme", ["authorization", `Basic ${Buffer.from(`x:${TOKEN}`).toString("base64")}`], ""],
    ["two tokens, one of them right", ["authorization", `Bearer ${TOKEN}`, "authorization", "Bearer x"], ""],
    ["the token twice", ["authorization", `Bearer ${TOKEN}`, "authorization", `Bearer ${TOKEN}`], ""],
    ["two tokens in one header", ["authorization", `Bearer ${TOKEN}, Bearer ${TOKEN}`], ""],
    ["the token in the query", [], `?token=${TOKEN}&access_token=${TOKEN}`],
    ["an API key", ["authorization", `Bearer mk_1_${"k".repeat(43)}`], ""],
    ["the token in a cookie", ["cookie", `token=${TOKEN}`], ""],
  ])("stays shut for %s (B095)", async (_what, headers, query) => {
    for (const path of ["/v1/exec/step", "/v1/exec/deps"]) {
      const answer = await send(
        "POST",
        path + query,
        [...headers, "content-type", "application/json", "content-length", "2"],
        "{}",
      );
      expect(answer.status).toBe(401);
      expect(answer.headers["www-authenticate"]).toContain("Bearer");
      expect(problem(answer)).toMatchObject({ code: "UNAUTHENTICATED", status: 401 });
      expect(answer.text).not.toContain(TOKEN);
    }
  });

  it("answers with a problem document for what it does not do", async () => {
    const answers = await Promise.all([
      send("GET", "/v1/nothing", bearer),
      send("GET", "/v1/exec/step", bearer),
      send("GET", "/v1/../healthz", bearer),
      send("GET", "/v1/exec/..%2f..%2fetc%2fpasswd", bearer),
      send("POST", "/v1/exec/att_1/cancel", [...bearer, "content-type", "text/plain", "content-length", "2"], "{}"),
      send(
        "POST",
        "/v1/exec/att_1/cancel",
        [...bearer, "content-type", "application/json", "content-length", "1"],
        "{",
      ),
      post("/v1/exec/att_1/cancel", { mode: "gently" }),
      post("/v1/exec/..%2fatt_1/cancel", { mode: "stop" }),
      send("GET", "/v1/exec/att_1?fromSeq=0", bearer),
      send("GET", "/v1/exec/att_1?fromSeq=1e3", bearer),
      send("GET", "/v1/exec/att_1", [...bearer, "maia-protocol", "2.0"]),
      send("PUT", "/v1/blobs/xyz", [...bearer, "content-length", "1"], "x"),
      send("GET", `/v1/blobs/${"0".repeat(64)}`, bearer),
    ]);
    expect(answers.map((answer) => [answer.status, problem(answer).code])).toEqual([
      [404, "NOT_FOUND"],
      [405, "METHOD_NOT_ALLOWED"],
      [404, "NOT_FOUND"],
      [404, "ATTEMPT_UNKNOWN"],
      [415, "UNSUPPORTED_MEDIA"],
      [400, "BAD_JSON"],
      [422, "INVALID"],
      [404, "ATTEMPT_UNKNOWN"],
      [422, "INVALID"],
      [422, "INVALID"],
      [400, "PROTOCOL_UNSUPPORTED"],
      [422, "INVALID"],
      [404, "NOT_FOUND"],
    ]);
    for (const { headers } of answers) expect(headers["content-type"]).toBe("application/problem+json");
  });

  it.each([
    ["cwd", { cwd: "/" }],
    ["argv", { argv: ["sh", "-c", "id > /tmp/pwned; $(id)"] }],
    ["env.LD_PRELOAD", { env: { LD_PRELOAD: "/tmp/x.so" } }],
    ["script.sha256", { script: { sha256: "../../etc/passwd" } }],
    ["files[0].path", { files: [{ path: "../../x", sha256: "a".repeat(64), sizeBytes: 1 }] }],
    ["kind", { kind: "deps" }],
  ])("does not take a task with such a %s (B098)", async (field, change) => {
    const answer = await post("/v1/exec/step", { ...aTask().task, ...change });
    expect(answer.status).toBe(422);
    expect(problem(answer)).toMatchObject({ code: "INVALID", detail: expect.stringContaining(field) });
    expect(runner.executor.started).toEqual([]);
  });

  it("does not take a body of 100 MB, announced or not (B098)", async () => {
    const size = 100 * 1024 * 1024;
    const announced = await send(
      "POST",
      "/v1/exec/step",
      [...bearer, "content-type", "application/json", "content-length", String(size)],
      Buffer.alloc(1024),
    );
    expect([announced.status, problem(announced).code]).toEqual([413, "TOO_LARGE"]);
    const unannounced = await send(
      "POST",
      "/v1/exec/step",
      [...bearer, "content-type", "application/json", "transfer-encoding", "chunked"],
      Buffer.alloc(17 * 1024 * 1024, "x"),
    );
    expect([unannounced.status, problem(unannounced).code]).toEqual([413, "TOO_LARGE"]);
    expect((await send("GET", "/healthz")).status).toBe(200);
  });
});

describe("a stream of frames", () => {
  it("begins at once, and beats while its step is silent (F35)", async () => {
    const { task, bytes } = aTask();
    await upload(runner.client, bytes);
    const stream = await runner.client.exec(task);
    let beats = 0;
    for await (const batch of stream) {
      beats += batch.filter(({ type }) => type === "heartbeat").length;
      if (beats === 3) runner.executor.play(task.attemptId).exit();
    }
    expect(beats).toBeGreaterThanOrEqual(3);
  });
});

describe("a runner's blobs", () => {
  const content = randomBytes(300_000);
  const sha256 = createHash("sha256").update(content).digest("hex");
  const put = (hash: string, body: Buffer) =>
    send("PUT", `/v1/blobs/${hash}`, [...bearer, "content-length", String(body.length)], body);

  it("are kept by their hash, once, and come back whole or in part", async () => {
    expect(await runner.client.hasBlob(sha256)).toBe(false);
    expect((await put(sha256, content)).status).toBe(201);
    expect((await put(sha256, content)).status).toBe(200);
    expect(await runner.client.hasBlob(sha256)).toBe(true);
    const chunks: Uint8Array[] = [];
    for await (const chunk of runner.client.getBlob(sha256)) chunks.push(chunk);
    expect(Buffer.concat(chunks).equals(content)).toBe(true);
    const rest: Uint8Array[] = [];
    for await (const chunk of runner.client.getBlob(sha256, 299_990)) rest.push(chunk);
    expect(Buffer.concat(rest).equals(content.subarray(299_990))).toBe(true);
    const beyond = await send("GET", `/v1/blobs/${sha256}`, [...bearer, "range", "bytes=300000-"]);
    expect([beyond.status, beyond.headers["content-range"]]).toEqual([416, "bytes */300000"]);
  });

  it("are refused with other bytes than the hash says, and leave nothing behind", async () => {
    const wrong = "f".repeat(64);
    const answer = await put(wrong, content);
    expect([answer.status, problem(answer).code]).toEqual([422, "HASH_MISMATCH"]);
    expect(await runner.client.hasBlob(wrong)).toBe(false);
  });

  it("are not kept when the upload breaks off", async () => {
    const whole = randomBytes(100_000);
    const hash = createHash("sha256").update(whole).digest("hex");
    const { hostname, port } = new URL(runner.url);
    const broken = request({
      hostname,
      port,
      path: `/v1/blobs/${hash}`,
      method: "PUT",
      headers: { authorization: `Bearer ${TOKEN}`, "content-length": 100_000 },
    });
    broken.on("error", () => {});
    broken.write(whole.subarray(0, 50_000));
    await new Promise((resolve) => setTimeout(resolve, 50));
    broken.destroy();
    await until("the runner serves on", async () => (await send("GET", "/healthz")).status === 200);
    expect(await runner.client.hasBlob(hash)).toBe(false);
  });
});

describe("a connection test", () => {
  it("tries one connection from the runner, and refuses what could be the runner's own secrets", async () => {
    const server = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as { port: number };
    expect(await runner.client.testConnection("127.0.0.1", port)).toMatchObject({ result: "SUCCESS" });
    await new Promise((resolve) => server.close(resolve));
    expect(await runner.client.testConnection("127.0.0.1", port)).toMatchObject({
      result: "TIMEOUT",
      detail: expect.any(String),
    });
    const metadata = await post("/v1/connectivity", { host: "169.254.169.254", port: 80 });
    expect([metadata.status, problem(metadata).code]).toEqual([422, "URL_BLOCKED"]);
    expect((await post("/v1/connectivity", { host: "x", port: 0 })).status).toBe(422);
  });
});
