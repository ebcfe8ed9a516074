import { readdir } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { sha256Hex } from "@maia/domain";
import { type Answer, openTestApi, type TestApi } from "./support.js";

let api: TestApi;

beforeEach(async () => {
  api = await openTestApi();
});

afterEach(() => api[Symbol.asyncDispose]());

const whole = "0123456789".repeat(1_000);
const hash = sha256Hex(whole);

interface PartOptions {
  readonly range?: string;
  readonly body?: string;
  readonly key?: string;
  readonly query?: string;
}

/** The bytes from `from` up to `to` as a part of the whole. */
function put(from: number, to: number, { range, body, key = api.adminKey, query = "" }: PartOptions = {}) {
  return api.request("PUT", `/v1/blobs/${hash}${query}`, {
    body: body ?? whole.slice(from, to),
    headers: { "Content-Range": range ?? `bytes ${from}-${to - 1}/${whole.length}` },
    key,
  });
}

const head = (query = "", key = api.adminKey) => api.request("HEAD", `/v1/blobs/${hash}${query}`, { key });
const offsetOf = ({ headers }: Answer) => headers.get("upload-offset");

/** Sends the head of a part and some of its bytes, and leaves the connection open. */
async function begin(from: number, bytes: string): Promise<Socket> {
  const socket = connect(Number(new URL(api.url).port), "127.0.0.1");
  const lines = [
    `PUT /v1/blobs/${hash} HTTP/1.1`,
    "Host: localhost",
    `Authorization: Bearer ${api.adminKey}`,
    `Content-Range: bytes ${from}-${whole.length - 1}/${whole.length}`,
    `Content-Length: ${whole.length - from}`,
  ];
  socket.on("error", () => {}).write(`${lines.join("\r\n")}\r\n\r\n${bytes}`);
  await reached(from + bytes.length);
  return socket;
}

async function reached(offset: number): Promise<void> {
  while (offsetOf(await head()) !== String(offset)) await new Promise(setImmediate);
}

/** Goes on from 3,000 as soon as the server lets go of the connection that sent what came before. */
async function goOn(): Promise<Answer> {
  for (;;) {
    const answer = await put(3_000, 10_000);
    if (answer.status !== 409) return answer;
    expect(offsetOf(answer)).toBe("3000");
  }
}

describe("an upload in parts", () => {
  it("is content once its last part has come, and takes no other way to a job", async () => {
    await api.put("/v1/workflows/hello", { steps: [{ key: "a", script: "x" }] });
    const job = () => api.post("/v1/jobs", { workflow: "hello", files: [{ name: "f", sha256: hash }] });
    expect(offsetOf(await head())).toBe("0");
    const first = await put(0, 4_000);
    expect([first.status, offsetOf(first), first.json]).toEqual([
      202,
      "4000",
      { sha256: hash, sizeBytes: 10_000, receivedBytes: 4_000 },
    ]);
    expect([(await head()).status, offsetOf(await head()), (await job()).json.code]).toEqual([
      404,
      "4000",
      "BLOB_UNKNOWN",
    ]);
    const last = await put(4_000, 10_000);
    expect([last.status, last.json]).toEqual([201, { sha256: hash, sizeBytes: 10_000 }]);
    expect([(await head()).status, offsetOf(await head()), (await job()).status]).toEqual([200, null, 201]);
  });

  it("keeps what came before its line was cut, and goes on from there (F53)", async () => {
    const socket = await begin(0, whole.slice(0, 3_000));
    socket.destroy();
    expect((await goOn()).status).toBe(201);
    expect(await readdir(api.dataDir.tmp)).toEqual([]);
    expect(api.logged.filter(({ level }) => level === "error")).toEqual([]);
  });

  it("goes on while the server still holds the connection that its sender has lost", async () => {
    const silent = await begin(0, whole.slice(0, 3_000));
    expect((await goOn()).status).toBe(201);
    silent.destroy();
    expect((await head()).status).toBe(200);
  });

  it("keeps what came when nothing comes any more, and says so with 408 (F53)", async () => {
    await using hasty = await openTestApi({ uploadIdleMs: 50 });
    const request = (bytes: string) =>
      hasty.raw(
        `PUT /v1/blobs/${hash} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${hasty.adminKey}\r\nContent-Range: bytes 0-9999/10000\r\nContent-Length: 10000\r\n\r\n${bytes}`,
        /\}$/,
      );
    expect(await request("01234")).toMatch(/^HTTP\/1\.1 408 /);
    expect(offsetOf(await hasty.request("HEAD", `/v1/blobs/${hash}`))).toBe("5");
  });

  it("is told the part that is due where it sends another one", async () => {
    await put(0, 4_000);
    for (const from of [0, 3_999, 4_001]) {
      const wrong = await put(from, 10_000);
      expect([wrong.status, wrong.json.code, offsetOf(wrong)]).toEqual([409, "STATE_CONFLICT", "4000"]);
    }
    expect((await put(4_000, 10_000)).status).toBe(201);
  });

  it("is refused with other bytes, and begun anew (G18)", async () => {
    await put(0, 4_000);
    const wrong = await put(4_000, 10_000, { body: "x".repeat(6_000) });
    expect([wrong.status, wrong.json.code]).toEqual([422, "HASH_MISMATCH"]);
    expect([(await head()).status, offsetOf(await head())]).toEqual([404, "0"]);
    expect(await readdir(api.dataDir.tmp)).toEqual([]);
    expect((await put(0, 10_000)).status).toBe(201);
  });

  it("is known already where its content is, whatever part is sent", async () => {
    await put(0, 4_000);
    expect((await api.request("PUT", `/v1/blobs/${hash}`, { body: whole })).status).toBe(201);
    const late = await put(4_000, 10_000);
    expect([late.status, late.json]).toEqual([200, { sha256: hash, sizeBytes: 10_000 }]);
    expect(await readdir(api.dataDir.tmp)).toEqual([]);
  });

  it("ends with nothing where all has come already, of no bytes too", async () => {
    const nothing = (of: string, total: number) =>
      api.request("PUT", `/v1/blobs/${of}`, { headers: { "Content-Range": `bytes */${total}` } });
    const early = await nothing(hash, 10_000);
    expect([early.status, offsetOf(early)]).toEqual([409, "0"]);
    const empty = await nothing(sha256Hex(""), 0);
    expect([empty.status, empty.json.sizeBytes]).toEqual([201, 0]);
  });

  it.each([
    ["bytes 0-9999", 400],
    ["bytes 0-9999/*", 400],
    ["bytes 5-2/10000", 400],
    ["bytes 0-10000/10000", 400],
    ["bytes 0-99999999999999999999/10000", 400],
    ["lines 0-9999/10000", 400],
    ["bytes 0-99/10000", 400],
    ["bytes 0-9999/1000000000", 413],
  ])("is refused with Content-Range %s: %i", async (range, status) => {
    const answer = await put(0, 10_000, { range });
    expect(answer.status).toBe(status);
    expect([offsetOf(await head()), await readdir(api.dataDir.tmp)]).toEqual(["0", []]);
  });

  it("is nobody else's, and apart in every project", async () => {
    const { id } = (await api.post("/v1/projects", { name: "elsewhere" })).json;
    const stranger = await api.keyOf("operator", [id]);
    await put(0, 4_000);
    expect([(await head("", stranger)).status, offsetOf(await head("", stranger))]).toEqual([404, null]);
    expect((await put(4_000, 10_000, { key: stranger })).status).toBe(404);
    const there = { key: stranger, query: "?project=elsewhere" };
    expect([(await put(4_000, 10_000, there)).status, offsetOf(await head("?project=elsewhere", stranger))]).toEqual([
      409,
      "0",
    ]);
    expect((await put(0, 10_000, there)).status).toBe(201);
    expect((await put(4_000, 10_000)).status).toBe(200); // the administrator may use that project too
    expect((await put(0, 1, { key: await api.keyOf("viewer") })).status).toBe(403);
  });

  it("is right when many send the same at once", async () => {
    const send = async () => {
      for (let from = 0; ; ) {
        const to = Math.min(from + 1_000, 10_000);
        const range = from === to ? { range: "bytes */10000" } : {};
        const answer = await put(from, to, range);
        if (answer.status <= 201) return answer.status;
        expect([202, 409]).toContain(answer.status);
        from = Number(offsetOf(answer) ?? offsetOf(await head()) ?? 0);
      }
    };
    const statuses = await Promise.all(Array.from({ length: 10 }, send));
    expect(statuses.filter((status) => status === 201).length).toBeGreaterThan(0);
    expect(await api.blobs.verify(hash)).toBe(true);
    expect(await readdir(api.dataDir.tmp)).toEqual([]);
  });
});
