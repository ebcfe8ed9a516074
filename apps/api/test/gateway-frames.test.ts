import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import { keepBlob, requestStop } from "@maia/db";
import { sha256Hex } from "@maia/domain";
import { type ArtifactFrame, encodeFrames, type Frame } from "@maia/runner-protocol";
import {
  aLife,
  anOffer,
  aRunner,
  attemptRow,
  type Bound,
  openFleetApi,
  type Published,
  published,
  ScriptedRunner,
} from "./fleet.js";
import { aRun } from "./rows.js";
import type { TestApi } from "./support.js";

let api: TestApi;
let workflow: Published;
let us: ScriptedRunner;
let bound: Bound;
let count = 0;

beforeAll(async () => {
  api = await openFleetApi(100);
  workflow = await published(api, "fleet");
});
afterAll(() => api[Symbol.asyncDispose]());
beforeEach(async () => {
  us = await ScriptedRunner.connect(api, await aRunner(api, `runner-${++count}`));
  bound = await handed();
});

/** An attempt that our runner was handed. */
async function handed(): Promise<Bound> {
  const made = await anOffer(api, us, workflow);
  await us.poll();
  return made;
}

async function linesOf({ run }: Bound): Promise<string[]> {
  const { json } = await api.get(`/v1/runs/${run.id}/logs?stepKey=first&limit=100`);
  return json.items.map(({ line }: { line: string }) => line);
}

const status = async ({ ref }: Bound) => (await attemptRow(api, ref.id))?.status;
const at = "2026-11-20T12:00:00.000Z";
const log = (seq: number, line = `line ${seq}`): Frame => ({ type: "log", seq, stream: "stdout", line, at });
const anArtifact = (seq: number, bytes: Uint8Array, name = "report.bin"): Frame => {
  const sha256 = sha256Hex(bytes);
  return { type: "artifact", seq, name, sha256, sizeBytes: bytes.length, mime: "application/octet-stream" };
};

describe("Frames", () => {
  it("of a whole life end the attempt, keep its output, and ring for the engine (G8)", async () => {
    let rings = 0;
    const unlisten = api.db.bell("engine").listen(() => rings++);
    expect((await us.frames(bound, aLife(bound))).json).toEqual({ ackedSeq: 3, ended: true });
    unlisten();
    expect(rings).toBe(1);
    const row = await attemptRow(api, bound.ref.id);
    expect([row?.status, row?.exitCode, row?.output]).toEqual(["SUCCEEDED", 0, `{"answer":42}`]);
    expect(await linesOf(bound)).toEqual(["hello"]);
  });

  it("that overlap what was sent before are recorded once (G14)", async () => {
    const life = aLife(bound, ["a", "b", "c"]);
    expect((await us.frames(bound, life.slice(0, 3))).json).toEqual({ ackedSeq: 3, ended: false });
    expect((await us.frames(bound, life.slice(0, 4))).json).toEqual({ ackedSeq: 4, ended: false });
    expect((await us.frames(bound, life)).json).toEqual({ ackedSeq: 5, ended: true });
    expect(await linesOf(bound)).toEqual(["a", "b", "c"]);
  });

  it("with a gap are recorded up to it, and the answer says from where to send again (G14)", async () => {
    const life = aLife(bound, ["a", "b", "c"]);
    const holed = life.filter((frame) => !("seq" in frame) || frame.seq !== 3);
    expect((await us.frames(bound, holed)).json).toEqual({ ackedSeq: 2, ended: false });
    expect((await us.frames(bound, life.slice(-1))).json).toEqual({ ackedSeq: 2, ended: false });
    expect(await status(bound)).toBe("RUNNING");
    expect((await us.frames(bound, life.slice(2))).json).toEqual({ ackedSeq: 5, ended: true });
    expect(await linesOf(bound)).toEqual(["a", "b", "c"]);
  });

  it("are acknowledged in the runner's own numbers where Maia wrote lines of its own first", async () => {
    await api.db.write(({ sql }) =>
      sql.run(`UPDATE "Attempt" SET "lastSeq" = 5, "seqBase" = 5 WHERE "id" = ?`, bound.ref.id),
    );
    expect((await us.frames(bound, [])).json).toEqual({ ackedSeq: 0, ended: false });
    expect((await us.frames(bound, aLife(bound).slice(0, 2))).json).toEqual({ ackedSeq: 2, ended: false });
    expect((await attemptRow(api, bound.ref.id))?.lastSeq).toBe(7);
    expect((await us.frames(bound, aLife(bound))).json).toEqual({ ackedSeq: 3, ended: true });
  });

  it("after the end are refused, and change nothing (B110)", async () => {
    await us.frames(bound, aLife(bound));
    const late = await us.frames(bound, [log(4), { ...(aLife(bound).at(-1) as Frame), exitCode: 1 } as Frame]);
    expect([late.status, late.json.code]).toEqual([409, "ATTEMPT_ENDED"]);
    expect([await status(bound), await linesOf(bound)]).toEqual(["SUCCEEDED", ["hello"]]);
  });

  it("behind the exit do not count, nor does a second exit (B101)", async () => {
    const life = aLife(bound);
    const exit = { ...(life.at(-1) as Frame), exitCode: 3 } as Frame;
    expect((await us.frames(bound, [...life, log(4), exit])).json).toEqual({ ackedSeq: 3, ended: true });
    expect([await status(bound), await linesOf(bound)]).toEqual(["SUCCEEDED", ["hello"]]);
  });

  it("without an exit are no end, however the body ends (G8)", async () => {
    const life = encodeFrames(aLife(bound).slice(0, 3));
    expect((await us.frames(bound, life.slice(0, -20))).json.code).toBe("BAD_REQUEST");
    expect(await status(bound)).toBe("RUNNING");
  });

  it("of an exit that claims success without an output, or without a start, are none (G8)", async () => {
    const [started, ...rest] = aLife(bound, []);
    const exit = { ...(rest.at(-1) as Frame), lastSeq: 1 } as Frame;
    expect((await us.frames(bound, [started!, exit])).json.ended).toBe(true);
    expect([await status(bound), JSON.parse((await attemptRow(api, bound.ref.id))!.failure!).code]).toEqual([
      "FAILED",
      "OUTPUT_INVALID",
    ]);
    const other = await handed();
    const output: Frame = { type: "output", seq: 1, data: {} };
    expect((await us.frames(other, [output, exit])).json.ended).toBe(true);
    expect(await status(other)).toBe("LOST");
  });

  it("of a loss end the attempt wherever its record stands, since who crashed may have lost count", async () => {
    const life = aLife(bound, ["a", "b", "c"]);
    await us.frames(bound, life.slice(0, 4));
    const error = { message: "the runner was restarted while the step ran" };
    const lost: Frame = { type: "exit", lastSeq: 2, exitCode: null, signal: null, reason: "lost", error };
    expect((await us.frames(bound, [lost])).json).toEqual({ ackedSeq: 4, ended: true });
    const row = await attemptRow(api, bound.ref.id);
    expect([row?.status, JSON.parse(row?.failure ?? "").code]).toEqual(["LOST", "RUNNER_LOST"]);
    const ahead = await handed();
    const more = [...aLife(ahead).slice(0, 2), { ...lost, lastSeq: 9 }];
    expect((await us.frames(ahead, more)).json).toEqual({ ackedSeq: 2, ended: true });
    expect([await status(ahead), await linesOf(ahead)]).toEqual(["LOST", ["hello"]]);
  });

  it("that arrive although the task was taken back put it in flight again", async () => {
    await api.db.write(({ sql }) => sql.run(`UPDATE "Attempt" SET "handedAt" = NULL WHERE "id" = ?`, bound.ref.id));
    await us.frames(bound, aLife(bound).slice(0, 1));
    expect((await attemptRow(api, bound.ref.id))?.handedAt).not.toBeNull();
  });

  it("are recorded while the body still comes", async () => {
    const life = encodeFrames(aLife(bound)).split("\n");
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    const path = `/v1/gateway/attempts/${bound.ref.id}/frames`;
    const headers = { "Maia-Attempt-Token": bound.token, "Maia-Generation": String(us.generation) };
    const answer = api.request("POST", path, { key: us.token, headers, body: readable });
    for (const [index, line] of life.slice(0, 2).entries()) {
      await writer.write(Buffer.from(`${line}\n`));
      while ((await attemptRow(api, bound.ref.id))?.lastSeq !== index + 1) await us.poll({ running: [bound.ref.id] });
    }
    await writer.write(Buffer.from(life.slice(2).join("\n")));
    await writer.close();
    expect((await answer).json).toEqual({ ackedSeq: 3, ended: true });
  });
});

describe("Garbage from a hostile runner", () => {
  const started = (more: object = {}) => `${JSON.stringify({ ...aLife(bound)[0], ...more })}\n`;
  const line = (text: string) => `{"type":"log","seq":2,"stream":"stdout","line":${text},"at":"${at}"}\n`;
  const exit = (more: object) => `${JSON.stringify({ ...aLife(bound, []).at(-1), lastSeq: 1, ...more })}\n`;

  it.each<[string, () => string]>([
    ["that is no JSON", () => "hello\n"],
    ["with a BOM", () => `\ufeff${started()}`],
    ["that is a list", () => "[]\n"],
    ["with a lone surrogate", () => started() + line(`"\\ud800"`)],
    ["with a number of 2^53", () => started({ seq: 2 ** 53 })],
    ["with the number 0", () => started({ seq: 0 })],
    ["with the number -1", () => started({ seq: -1 })],
    ["about another attempt", () => started({ attemptId: "att_somebodyelse" })],
    ["with an exit code of text", () => started() + exit({ exitCode: "0" })],
    ["with an exit code of -1", () => started() + exit({ exitCode: -1 })],
    ["with an exit code of 256", () => started() + exit({ exitCode: 256 })],
    ["with a __proto__ in its output", () => `${started()}{"type":"output","seq":2,"data":{"__proto__":{"a":1}}}\n`],
    [
      "with an artifact that climbs",
      () => `${started()}${JSON.stringify({ ...anArtifact(2, randomBytes(3)), name: "../x" })}\n`,
    ],
    ["with an exit that knows of fewer frames than came", () => started() + line(`"x"`) + exit({ lastSeq: 0 })],
  ])("%s is a 400 that ends nothing (B101)", async (_, body) => {
    const { status: code, json } = await us.frames(bound, body());
    expect([code, json.code]).toEqual([400, "BAD_REQUEST"]);
    expect(["DISPATCHING", "RUNNING"]).toContain(await status(bound));
    expect((await us.frames(bound, aLife(bound))).json.ended).toBe(true);
    expect(await status(bound)).toBe("SUCCEEDED");
  });

  it("that is not UTF-8 is a 400, and a character cut by a chunk is none (B101)", async () => {
    const split = Buffer.from(line(`"ä"`));
    const cutAt = split.indexOf(0xc3) + 1;
    const send = (parts: Uint8Array[]) => {
      const body = new ReadableStream<Uint8Array>({
        async start(controller) {
          for (const part of parts) controller.enqueue(part);
          controller.close();
        },
      });
      const headers = { "Maia-Attempt-Token": bound.token, "Maia-Generation": String(us.generation) };
      return api.request("POST", `/v1/gateway/attempts/${bound.ref.id}/frames`, { key: us.token, headers, body });
    };
    expect((await send([Buffer.from(started()), Buffer.from([0xff, 0x0a])])).status).toBe(400);
    const whole = await send([split.subarray(0, cutAt), split.subarray(cutAt)]);
    expect(whole.json).toEqual({ ackedSeq: 2, ended: false });
    expect(await linesOf(bound)).toEqual(["ä"]);
  });

  it("without a newline for megabytes is refused after one (B101)", async () => {
    let sent = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (sent >= 12 * 2 ** 20) return controller.close();
        sent += 65_536;
        controller.enqueue(Buffer.alloc(65_536, 0x20));
      },
    });
    const headers = { "Maia-Attempt-Token": bound.token, "Maia-Generation": String(us.generation) };
    const path = `/v1/gateway/attempts/${bound.ref.id}/frames`;
    const answer = await api.request("POST", path, { key: us.token, headers, body });
    expect([answer.status, answer.json.detail]).toEqual([400, expect.stringContaining("too_long")]);
  });

  it("of types that nobody knows, blank lines and \\r\\n are passed over (B101)", async () => {
    const [first, ...rest] = encodeFrames(aLife(bound)).trimEnd().split("\n");
    const body = `${first}\r\n\n\r\n{"type":"weather","sky":"grey"}\n${rest.join("\r\n")}\r\n`;
    expect((await us.frames(bound, body)).json).toEqual({ ackedSeq: 3, ended: true });
  });

  it("that is compressed is refused", async () => {
    expect((await us.frames(bound, "x", { "Content-Encoding": "gzip" })).status).toBe(415);
  });

  it("in a flood of tiny frames is all recorded, in order (B101, G14)", async () => {
    const frames = [aLife(bound)[0]!, ...Array.from({ length: 20_000 }, (_, index) => log(index + 2))];
    expect((await us.frames(bound, frames)).json).toEqual({ ackedSeq: 20_001, ended: false });
    const text = `SELECT "fromSeq", "toSeq" FROM "LogEvent" WHERE "attemptId" = ? ORDER BY "id"`;
    let next = 2;
    for (const { fromSeq, toSeq } of await api.db.sql.all<{ fromSeq: number; toSeq: number }>(text, bound.ref.id)) {
      expect(fromSeq).toBe(next);
      next = toSeq + 1;
    }
    expect(next).toBe(20_002);
  });
});

describe("Artifacts", () => {
  it("whose bytes are not here are answered with their hashes; with the bytes they are recorded (G8)", async () => {
    const bytes = randomBytes(1_000);
    const life = aLife(bound);
    const frames = [
      ...life.slice(0, 2),
      anArtifact(3, bytes),
      { ...life[2]!, seq: 4 },
      { ...life[3]!, lastSeq: 4 },
    ] as Frame[];
    const missing = await us.frames(bound, frames);
    expect([missing.status, missing.json.code, missing.json.missing]).toEqual([
      412,
      "BLOB_MISSING",
      [sha256Hex(bytes)],
    ]);
    expect([await status(bound), (await attemptRow(api, bound.ref.id))?.lastSeq]).toEqual(["RUNNING", 2]);
    expect((await us.blob("PUT", bound, sha256Hex(bytes), bytes)).status).toBe(201);
    expect((await us.blob("PUT", bound, sha256Hex(bytes), bytes)).status).toBe(200);
    expect((await us.frames(bound, frames)).json).toEqual({ ackedSeq: 4, ended: true });
    const { items } = (await api.get(`/v1/runs/${bound.run.id}/artifacts`)).json;
    const { id } = items.find(({ name }) => name === "report.bin")!;
    const content = await fetch(`${api.url}/v1/artifacts/${id}/content`, {
      headers: { Authorization: `Bearer ${api.adminKey}` },
    });
    expect(sha256Hex(Buffer.from(await content.arrayBuffer()))).toBe(sha256Hex(bytes));
  });

  it("do not count by bytes that only another project knows (C13)", async () => {
    const bytes = randomBytes(100);
    const { id: elsewhere } = (await api.post("/v1/projects", { name: `elsewhere-${count}` })).json;
    const blob = await api.blobs.put(bytes);
    await api.db.write((tx) => keepBlob(tx, { ...blob, mime: "text/plain" }, elsewhere, api.now));
    const answer = await us.frames(bound, [aLife(bound)[0]!, anArtifact(2, bytes)]);
    expect([answer.status, answer.json.missing]).toEqual([412, [blob.sha256]]);
  });

  it("of another size than their bytes are refused", async () => {
    const bytes = randomBytes(100);
    await us.blob("PUT", bound, sha256Hex(bytes), bytes);
    const lie = { ...anArtifact(2, bytes), sizeBytes: 99 } as Frame;
    expect((await us.frames(bound, [aLife(bound)[0]!, lie])).status).toBe(400);
  });

  it("are verified by their hash, and taken for live attempts only", async () => {
    const bytes = randomBytes(100);
    const wrong = await us.blob("PUT", bound, sha256Hex("other"), bytes);
    expect([wrong.status, wrong.json.code]).toEqual([422, "HASH_MISMATCH"]);
    expect((await us.blob("PUT", bound, "..%2F..%2Fetc%2Fpasswd", bytes)).status).toBe(404);
    await us.frames(bound, aLife(bound));
    const late = await us.blob("PUT", bound, sha256Hex(bytes), bytes);
    expect([late.status, late.json.code]).toEqual([409, "ATTEMPT_ENDED"]);
    expect(await api.blobs.size(sha256Hex(bytes))).toBeNull();
  });
});

describe("Content", () => {
  it("is given as far as the task names it, and nothing else that is here (C13)", async () => {
    const script = Buffer.from("export default () => ({})");
    const given = await us.blob("GET", bound, sha256Hex(script));
    expect([given.status, given.text]).toEqual([200, script.toString()]);
    const { headers, status: head } = await us.blob("HEAD", bound, sha256Hex(script));
    expect([head, headers.get("Content-Length")]).toEqual([200, String(script.length)]);
    const other = await api.blobs.put(randomBytes(50));
    await api.db.write((tx) => keepBlob(tx, { ...other, mime: "text/plain" }, bound.ref.projectId, api.now));
    for (const method of ["GET", "HEAD"]) expect((await us.blob(method, bound, other.sha256)).status).toBe(404);
    expect((await us.blob("GET", bound, "..%2f..%2fmaia.db")).status).toBe(404);
  });

  it("includes the input, the files of the job and the artifacts of earlier steps", async () => {
    const steps = [
      { key: "first", runtime: "node", script: "export default () => ({})" },
      {
        key: "second",
        runtime: "node",
        script: "export default () => ({})",
        deps: ["first"],
        artifacts: [{ from: "first", name: "report.bin" }],
      },
    ];
    const chained = await published(api, `chained-${count}`, { steps });
    const run = await aRun(api, chained);
    const file = await api.blobs.put(Buffer.from("a,b\n1,2\n"));
    const named = { path: "inputs/0-in.csv", sha256: file.sha256, sizeBytes: file.sizeBytes };
    const initial = JSON.stringify({ files: [named] });
    await api.db.write(({ sql }) => sql.run(`UPDATE "Run" SET "initialInput" = ? WHERE "id" = ?`, initial, run.id));
    const first = await anOffer(api, us, chained, { run });
    await us.poll();
    const bytes = randomBytes(200_000);
    const { sha256, sizeBytes } = anArtifact(2, bytes) as ArtifactFrame;
    await us.blob("PUT", first, sha256, bytes);
    const [started, output, exit] = aLife(first, []) as [Frame, object, object];
    const rest = [
      { ...output, seq: 3 },
      { ...exit, lastSeq: 3 },
    ] as Frame[];
    expect((await us.frames(first, [started, anArtifact(2, bytes), ...rest])).json.ended).toBe(true);
    const second = await anOffer(api, us, chained, { run, stepKey: "second" });
    const [task] = (await us.poll({ running: [bound.ref.id] })).json.tasks;
    expect(task.files).toEqual([named, { path: "artifacts/first/report.bin", sha256, sizeBytes }]);
    expect((await us.blob("GET", second, file.sha256)).text).toBe("a,b\n1,2\n");
    expect((await us.blob("HEAD", second, sha256)).headers.get("Content-Length")).toBe("200000");
    const input = (await us.blob("GET", second, task.input.sha256)).json;
    expect(input).toMatchObject({ runId: run.id, stepKey: "second", upstream: { first: { answer: 42 } } });
  });
});

describe("A stop", () => {
  it("that the attempt outran leaves its success alone: exactly one wins (G16)", async () => {
    await api.db.write((tx) => requestStop(tx, bound.run, bound.ref.id, api.now));
    expect((await us.frames(bound, aLife(bound))).json.ended).toBe(true);
    expect(await status(bound)).toBe("SUCCEEDED");
  });
});
