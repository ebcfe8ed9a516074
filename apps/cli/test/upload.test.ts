import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { ApiClient } from "../src/api-client.js";
import { uploadFiles } from "../src/workflow/upload.js";
import { FakeApi, sendJson, sendProblem } from "./fake-api.js";

const MIB = 1_024 * 1_024;
const whole = randomBytes(9 * MIB);
const sha256 = createHash("sha256").update(whole).digest("hex");
const place = `/v1/blobs/${sha256}`;

let api: FakeApi;
let folder: string;
let shown: string[];

beforeEach(async () => {
  api = await FakeApi.start();
  folder = await mkdtemp(join(tmpdir(), "maia-upload-"));
  shown = [];
  await writeFile(join(folder, "big"), whole);
});
afterEach(async () => {
  await api[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 });
});

function upload() {
  const url = new URL(`${api.url}/`);
  const client = new ApiClient({ url, apiKey: "key", keyFrom: "a test" } as never, "0");
  const terminal = { note: (text: string) => shown.push(text), passing: (text: string) => shown.push(`~${text}`) };
  return uploadFiles(client, [join(folder, "big")], undefined, terminal);
}

/** Answers the requests for the place one after another, the last one for ever. */
function inTurn(method: string, ...answers: ((response: ServerResponse) => void)[]) {
  api.on(`${method} ${place}`, (_request: unknown, response: ServerResponse) =>
    (answers.length > 1 ? answers.shift()! : answers[0]!)(response),
  );
}

const known = (response: ServerResponse) => response.end();
const offset = (at: number) => (response: ServerResponse) =>
  response.writeHead(404, { "upload-offset": String(at) }).end();
const kept = (response: ServerResponse) => sendJson(response, 201, {});
const problem = (status: number, code: string) => (response: ServerResponse) =>
  sendProblem(response, status, code, `it is ${code}`);
const ranges = () =>
  api.asked.filter(({ line }) => line.startsWith("PUT")).map(({ headers }) => headers["content-range"]);

describe("a large file", () => {
  it("is sent as a part that says where it belongs, and its progress is shown", async () => {
    inTurn("HEAD", offset(0));
    inTurn("PUT", kept);
    expect(await upload()).toEqual([{ name: "big", sha256 }]);
    expect(ranges()).toEqual([`bytes 0-${whole.length - 1}/${whole.length}`]);
    expect([shown[0], shown[1], shown.at(-1)]).toEqual([
      "Sending big",
      expect.stringMatching(/^~big: \d+ % of 9/),
      "~",
    ]);
  });

  it("goes on from where the server is after the connection broke, and after an earlier command", async () => {
    inTurn("HEAD", offset(MIB), offset(MIB), offset(4 * MIB));
    inTurn("PUT", (response) => response.destroy(), kept);
    await upload();
    expect(ranges()).toEqual([MIB, 4 * MIB].map((from) => `bytes ${from}-${whole.length - 1}/${whole.length}`));
    expect(shown).toContainEqual(expect.stringMatching(/ECONNRESET.*Going on with big in 0.25 s$/));
  });

  it("is only finished where all of it has come already", async () => {
    inTurn("HEAD", offset(whole.length));
    inTurn("PUT", kept);
    await upload();
    expect(ranges()).toEqual([`bytes */${whole.length}`]);
  });

  it("is not sent where another one has brought it meanwhile", async () => {
    inTurn("HEAD", offset(0), offset(0), known);
    inTurn("PUT", problem(409, "STATE_CONFLICT"));
    await upload();
    expect(ranges()).toHaveLength(1);
  });

  it("is begun anew once where an earlier command had sent other bytes", async () => {
    inTurn("HEAD", offset(MIB), offset(MIB), offset(0));
    inTurn("PUT", problem(422, "HASH_MISMATCH"), kept);
    await upload();
    expect(ranges()).toHaveLength(2);
    inTurn("HEAD", offset(MIB));
    inTurn("PUT", problem(422, "HASH_MISMATCH"));
    await expect(upload()).rejects.toThrow("it is HASH_MISMATCH");
    expect(ranges()).toHaveLength(4);
  });

  it.each([
    [413, "TOO_LARGE"],
    [507, "STORAGE_FULL"],
    [403, "FORBIDDEN"],
  ])("is not tried again where it is refused with %i", async (status, code) => {
    inTurn("HEAD", offset(0));
    inTurn("PUT", problem(status, code));
    await expect(upload()).rejects.toThrow(`it is ${code}`);
    expect(ranges()).toHaveLength(1);
  });

  it("is refused where it becomes shorter while it is sent", async () => {
    inTurn("HEAD", offset(0));
    api.on(`HEAD ${place}`, (_: unknown, response: ServerResponse) =>
      truncate(join(folder, "big"), MIB).then(() => offset(0)(response)),
    );
    inTurn("PUT", kept);
    await expect(upload()).rejects.toThrow("has become shorter while it was sent");
  });
});
