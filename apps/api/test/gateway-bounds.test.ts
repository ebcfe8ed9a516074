import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import { sha256Hex } from "@maia/domain";
import type { Frame } from "@maia/runner-protocol";
import {
  aLife,
  anOffer,
  aRunner,
  type Bound,
  openFleetApi,
  type Published,
  published,
  ScriptedRunner,
  type TestRunner,
} from "./fleet.js";
import type { TestApi } from "./support.js";

const LIMITS = { logAttemptMax: 1_000, artifactsMax: 5, artifactMax: 10_000 };

let api: TestApi;
let workflow: Published;
let runner: TestRunner;
let us: ScriptedRunner;
let bound: Bound;
let count = 0;

beforeAll(async () => {
  api = await openFleetApi(100, LIMITS);
  workflow = await published(api, "fleet");
});
afterAll(() => api[Symbol.asyncDispose]());
beforeEach(async () => {
  runner = await aRunner(api, `runner-${++count}`);
  us = await ScriptedRunner.connect(api, runner);
  bound = await anOffer(api, us, workflow);
  await us.poll();
});

const at = "2026-11-20T12:00:00.000Z";
const started = () => aLife(bound)[0]!;
const log = (seq: number, line: string): Frame => ({ type: "log", seq, stream: "stdout", line, at });
const anArtifact = (seq: number, bytes: Uint8Array): Frame => ({
  type: "artifact",
  seq,
  name: `file-${seq}`,
  sha256: sha256Hex(bytes),
  sizeBytes: bytes.length,
  mime: "application/octet-stream",
});
const put = (bytes: Uint8Array<ArrayBuffer>) => us.blob("PUT", bound, sha256Hex(bytes), bytes);
const runOf = async () => (await api.get(`/v1/runs/${bound.run.id}`)).json;
const end = (lastSeq: number): Frame[] => [
  { type: "output", seq: lastSeq, data: {} },
  { type: "exit", lastSeq, exitCode: 0, signal: null, reason: "exited", error: null },
];

describe("A runner that keeps to no limit", () => {
  it("has a log kept up to twice what it may send, is told so once, and ends as it would have (B101, G14)", async () => {
    const lines = Array.from({ length: 500 }, (_, i) => log(i + 2, "x".repeat(99)));
    await us.frames(bound, [started(), ...lines.slice(0, 250)]);
    await us.frames(bound, lines.slice(200));
    expect((await us.frames(bound, end(502))).json).toEqual({ ackedSeq: 502, ended: true });
    const { items } = (await api.get(`/v1/runs/${bound.run.id}/logs?limit=100`)).json;
    const cut = expect.objectContaining({ stream: "system", line: expect.stringContaining("what follows was cut") });
    expect([items.length, items.at(-1)]).toEqual([21, cut]);
    const run = await runOf();
    expect(run.steps[0].attempts[0]).toMatchObject({ status: "SUCCEEDED", truncatedLines: 480 });
  });

  it("cannot fill the log with words about what was cut, nor with numbers that nobody can read back (B101)", async () => {
    const [lines, bytes] = [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER];
    const frames = Array.from({ length: 2_000 }, (_, i): Frame => ({ type: "truncated", seq: i + 2, lines, bytes }));
    expect((await us.frames(bound, [started(), ...frames])).json).toEqual({ ackedSeq: 2_001, ended: false });
    const { items } = (await api.get(`/v1/runs/${bound.run.id}/logs?limit=100`)).json;
    expect(items.length).toBeLessThan(30);
    const { truncatedLines, truncatedBytes } = (await runOf()).steps[0].attempts[0];
    expect([truncatedLines, truncatedBytes]).toEqual([2 ** 31 - 1, 2 ** 31 - 1]);
  });

  it("has no more of its reason kept than anybody reads (B101)", async () => {
    const error = { message: "🙂".repeat(200_000) };
    const exit: Frame = { type: "exit", lastSeq: 1, exitCode: 1, signal: null, reason: "exited", error };
    expect((await us.frames(bound, [started(), exit])).json.ended).toBe(true);
    const { failure } = (await runOf()).steps[0].attempts[0];
    expect([failure.code, failure.message.length]).toEqual(["STEP_EXIT_CODE", 8_192]);
  });

  it("leaves no more artifacts than it may, and those that are recorded can be sent again (B089)", async () => {
    const bytes = randomBytes(10);
    await put(bytes);
    const five = Array.from({ length: 5 }, (_, i) => anArtifact(i + 2, bytes));
    expect((await us.frames(bound, [started(), ...five])).json.ackedSeq).toBe(6);
    expect((await us.frames(bound, [started(), ...five])).json.ackedSeq).toBe(6);
    const more = await us.frames(bound, [anArtifact(7, bytes)]);
    expect([more.status, more.json.detail]).toEqual([400, expect.stringContaining("5 artifacts")]);
    const { items } = (await api.get(`/v1/runs/${bound.run.id}/artifacts`)).json;
    expect(items.filter(({ system }: { system: boolean }) => !system)).toHaveLength(5);
  });

  it("leaves no more bytes in artifacts than it may, however often it names the same ones (B089)", async () => {
    const bytes = randomBytes(4_000);
    await put(bytes);
    expect((await us.frames(bound, [started(), anArtifact(2, bytes), anArtifact(3, bytes)])).status).toBe(200);
    const more = await us.frames(bound, [anArtifact(4, bytes)]);
    expect([more.status, more.json.detail]).toEqual([400, expect.stringContaining("10000 bytes")]);
  });

  it("cannot fill the disk with bytes that no frame of it names (B089)", async () => {
    const answers = [];
    for (let i = 0; i < 4; i++) answers.push((await put(randomBytes(4_000))).status);
    expect(answers).toEqual([201, 201, 413, 413]);
    const last = randomBytes(2_000);
    expect([(await put(last)).status, (await put(last)).status]).toEqual([201, 413]);
    bound = await anOffer(api, us, workflow);
    await us.poll();
    const small = [];
    for (let i = 0; i < 6; i++) small.push((await put(randomBytes(10))).status);
    expect(small).toEqual([201, 201, 201, 201, 201, 413]);
  });

  it("has bytes counted once that are sent again, since a connection may break at any time", async () => {
    const bytes = randomBytes(9_000);
    const [first, again] = [await put(bytes), await us.blob("PUT", bound, sha256Hex("other"), randomBytes(900))];
    expect([first.status, again.status]).toEqual([201, 422]);
    expect((await put(randomBytes(1_000))).status).toBe(201);
  });

  it("is refused a poll that is too large or names too much (B109)", async () => {
    const long = await us.poll({ running: Array.from({ length: 4_097 }, (_, i) => `att_${i}`) });
    expect([long.status, long.json.errors[0].pointer]).toEqual([422, "/running"]);
    expect((await us.poll({ padding: "x".repeat(1_100_000) })).status).toBe(413);
    expect((await us.poll({ results: [{ id: "cmd_1", result: { detail: "x".repeat(5_000) } }] })).status).toBe(422);
  });

  it("is told to wait when it says hello without end, and what it claimed to be is forgotten (B109)", async () => {
    const hellos = async (times: number) => {
      for (let i = 0; i < times; i += 50)
        await Promise.all(Array.from({ length: 50 }, (_, n) => us.sibling(`lgr_${i}_${n}`).hello()));
    };
    await hellos(1_200);
    const refused = await us.sibling("lgr_more").hello();
    expect([refused.status, Number(refused.headers.get("retry-after")) > 0]).toEqual([429, true]);
    const text = `SELECT COUNT(*) AS "n" FROM "RunnerInstance" WHERE "runnerId" = ?`;
    const known = async () => (await api.db.sql.get<{ n: number }>(text, runner.id))!.n;
    expect(await known()).toBeLessThanOrEqual(1_200);
    await api.db.write(({ sql }) => sql.run(`UPDATE "RunnerInstance" SET "silentAt" = "lastSeenAt"`));
    api.now = new Date(api.now.getTime() + 60_000);
    await us.sibling("lgr_last").hello();
    await us.sibling("lgr_last").hello();
    expect(await known()).toBeLessThanOrEqual(202);
  });
});
