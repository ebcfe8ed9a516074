import net from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import type { OwnedRun } from "@maia/db";
import fc from "fast-check";
import { aJob, anAttempt, aRun, aWorkflow, endRun, logEvent } from "./rows.js";
import { follow, type SseStream } from "./sse-client.js";
import { openTestApi, type TestApi } from "./support.js";

let api: TestApi;
let run: OwnedRun;
let attempt: string;

beforeEach(async () => {
  api = await openTestApi({ sseHeartbeatMs: 50 });
  run = await aRun(api, await aWorkflow(api));
  attempt = await anAttempt(api, run);
});

afterEach(() => api[Symbol.asyncDispose]());

const followRun = (query = "", headers: Record<string, string> = {}): Promise<SseStream> =>
  follow(`${api.url}/v1/runs/${run.id}/events${query}`, { Authorization: `Bearer ${api.adminKey}`, ...headers });

const followAll = (query = "", key = api.adminKey): Promise<SseStream> =>
  follow(`${api.url}/v1/events${query}`, { Authorization: `Bearer ${key}` });

async function stored(): Promise<{ id: string; event: string; data: string }[]> {
  const text = `SELECT "id", "kind", "data" FROM "LogEvent" WHERE "runId" = ? ORDER BY "id"`;
  const rows = await api.db.sql.all<{ id: number; kind: string; data: string }>(text, run.id);
  return rows.map(({ id, kind, data }) => ({ id: String(id), event: kind, data }));
}

async function someLogs(count: number, from = 1): Promise<void> {
  for (let i = 0; i < count; i++) await logEvent(api.db, run, attempt, from + i, [`line ${from + i}`]);
}

const status = (answer: { status: number }) => answer.status;
const get = (query: string, headers: Record<string, string> = {}) =>
  api.get(`/v1/runs/${run.id}/events${query}`, { headers });

describe("a run's events", () => {
  it("come as they are stored, the past and then the future, one for one, and end with the run", async () => {
    await someLogs(3);
    await using stream = await followRun("?until=end");
    await stream.until((events) => events.length === 4);
    await someLogs(2, 4);
    await endRun(api, run);
    await stream.ended;
    expect(stream.events).toEqual(await stored());
    expect(stream.events.at(-1)?.event).toBe("run_status");
    expect(stream.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    expect(stream.headers.get("x-accel-buffering")).toBe("no");
    expect(stream.retries).toEqual([2_000]);
  });

  it("are the same for a reader that drops at any moment and comes back with the last id (G15)", async () => {
    await someLogs(40);
    await endRun(api, run);
    const all = await stored();
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 15 }), { minLength: 1, maxLength: 8 }), async (takes) => {
        const seen: unknown[] = [];
        for (let last = "", i = 0; seen.length < all.length; i++) {
          const take = takes[i % takes.length]!;
          await using stream = await followRun("?until=end", last ? { "Last-Event-ID": last } : {});
          const part = (await stream.until((events) => events.length >= take)).slice(0, take);
          seen.push(...part);
          last = part.at(-1)?.id ?? last;
        }
        expect(seen).toEqual(all);
      }),
      { numRuns: 15 },
    );
  });

  it("reach a reader that joins while they happen, none missing, none twice", async () => {
    const writing = someLogs(60);
    const streams = await Promise.all(Array.from({ length: 8 }, () => followRun("?until=end")));
    await writing;
    await endRun(api, run);
    await Promise.all(streams.map(({ ended }) => ended));
    for (const stream of streams) expect(stream.events).toEqual(await stored());
  });

  it("carry whatever a step prints as data (B061)", async () => {
    const lines = [
      "<b>",
      "\u001b[31m",
      "a\rb",
      "nul\u0000",
      "\n\ndata: {}\n\n",
      "\u2028\u2029",
      '{"type":"exit"}',
      "x".repeat(1_000_000),
    ];
    await logEvent(api.db, run, attempt, 1, lines);
    await endRun(api, run);
    await using stream = await followRun("?until=end");
    await stream.ended;
    expect(JSON.parse(stream.events[1]!.data).lines.map(({ line }: { line: string }) => line)).toEqual(lines);
    expect(stream.events).toHaveLength(3);
  });

  it("begin where Last-Event-ID says, which beats `after`; what is no id is refused (B062)", async () => {
    await someLogs(4);
    await endRun(api, run);
    const all = await stored();
    const idsFrom = async (query: string, headers = {}) => {
      await using stream = await followRun(query, headers);
      await stream.ended;
      return stream.events.map(({ id }) => id);
    };
    const idsAfter = (index: number) => all.slice(index + 1).map(({ id }) => id);
    expect(await idsFrom(`?until=end&after=${all[1]!.id}`)).toEqual(idsAfter(1));
    expect(await idsFrom(`?until=end&after=${all[0]!.id}`, { "Last-Event-ID": all[3]!.id })).toEqual(idsAfter(3));
    expect(await idsFrom("?until=end&after=0")).toEqual(idsAfter(-1));
    for (const odd of ["garbage", "-1", "1.5", String(2n ** 63n), "1e3", "0x1"]) {
      const answer = await get("", { "Last-Event-ID": odd });
      expect([odd, answer.status, answer.json.code]).toEqual([odd, 400, "BAD_CURSOR"]);
      expect(status(await get(`?after=${odd}`))).toBe(400);
    }
  });

  it("answer 204 to a reader that has seen the end", async () => {
    await endRun(api, run);
    const last = (await stored()).at(-1)!.id;
    expect(status(await get("?until=end", { "Last-Event-ID": last }))).toBe(204);
    expect(status(await get(`?until=end&after=${Number(last) + 1_000}`))).toBe(204);
  });

  it("say when what a reader has missed is no longer kept", async () => {
    await someLogs(6);
    const all = await stored();
    await api.db.write(({ sql }) => sql.run(`DELETE FROM "LogEvent" WHERE "id" < ?`, Number(all[4]!.id)));
    const answer = await get("", { "Last-Event-ID": all[1]!.id });
    expect([answer.status, answer.json.code]).toEqual([410, "EVENTS_EXPIRED"]);
    await using stream = await followRun("", { "Last-Event-ID": all[3]!.id });
    expect(await stream.until((events) => events.length === all.length - 4)).toEqual(all.slice(4));
  });

  it("of a run that was deleted are missed by whoever had not seen them, and he is told so (G15)", async () => {
    const { id: elsewhere } = (await api.post("/v1/projects", { name: "elsewhere" })).json;
    const before = (await stored())[0]!.id;
    await someLogs(3);
    await endRun(api, run);
    const all = (query: string, key = api.adminKey) => api.request("GET", `/v1/events${query}`, { key });
    const missed = (await stored()).at(-1)!.id;
    expect((await api.request("DELETE", `/v1/runs/${run.id}`)).status).toBe(204);
    const late = await all(`?after=${before}`);
    expect([late.status, late.json.code]).toEqual([410, "EVENTS_EXPIRED"]);
    expect(late.json.detail).toContain(`up to ${missed}`);
    await using stream = await follow(`${api.url}/v1/events?after=${missed}`, {
      Authorization: `Bearer ${api.adminKey}`,
    });
    await stream.until((events) => events.some(({ event }) => event === "job_status"));
    const key = await api.keyOf("viewer", [elsewhere]);
    await using other = await follow(`${api.url}/v1/events?after=${before}`, { Authorization: `Bearer ${key}` });
    expect(other.status).toBe(200); // nothing of its project is missing
  });

  it("are nobody else's, and end when the key does (B064)", async () => {
    const { id } = (await api.post("/v1/projects", { name: "elsewhere" })).json;
    const stranger = await api.keyOf("admin", [id]);
    expect(status(await api.get(`/v1/runs/${run.id}/events`, { key: stranger }))).toBe(404);
    expect(status(await api.get(`/v1/runs/${run.id}/events`, { key: null }))).toBe(401);
    const key = (await api.post("/v1/api-keys", { name: "short", role: "viewer" })).json;
    await using stream = await follow(`${api.url}/v1/runs/${run.id}/events`, { Authorization: `Bearer ${key.key}` });
    await stream.until((events) => events.length === 1);
    await api.request("DELETE", `/v1/api-keys/${key.id}`);
    await stream.ended;
    expect(stream.status).toBe(200);
  });

  it("keep a silent stream alive with comments", async () => {
    await using stream = await followRun();
    while (stream.comments.length < 2) await stream.until((events) => events.length > 1 || stream.comments.length >= 2);
    expect(stream.events).toHaveLength(1);
  });

  it("wait for a reader that does not read, without piling up, and lose nothing", async () => {
    const lines = Array.from({ length: 40 }, (_, i) => `${i} ${"x".repeat(900_000)}`);
    for (const [index, line] of lines.entries()) await logEvent(api.db, run, attempt, index + 1, [line]);
    await endRun(api, run);
    const socket = net.connect(Number(new URL(api.url).port), "127.0.0.1");
    socket.write(
      `GET /v1/runs/${run.id}/events?until=end HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${api.adminKey}\r\n\r\n`,
    );
    const first = await new Promise<Buffer>((resolve) => socket.once("data", resolve));
    socket.pause();
    const before = process.memoryUsage().external;
    for (let i = 0; i < 20; i++) await api.get("/healthz");
    expect(process.memoryUsage().external - before).toBeLessThan(20_000_000);
    const chunks = [first];
    for await (const chunk of socket) {
      chunks.push(chunk);
      if (chunk.toString("latin1").endsWith("0\r\n\r\n")) break;
    }
    const ids = [
      ...Buffer.concat(chunks)
        .toString()
        .matchAll(/^id: (\d+)$/gm),
    ].map((match) => match[1]);
    expect(ids).toEqual((await stored()).map(({ id }) => id));
  });

  it("drop a reader that never reads", async () => {
    await using stuckApi = await openTestApi({ sseHeartbeatMs: 20, sseStuckMs: 100 });
    const slow = await aRun(stuckApi, await aWorkflow(stuckApi));
    const id = await anAttempt(stuckApi, slow);
    for (let i = 1; i <= 40; i++) await logEvent(stuckApi.db, slow, id, i, ["x".repeat(900_000)]);
    const socket = net.connect(Number(new URL(stuckApi.url).port), "127.0.0.1");
    socket.write(
      `GET /v1/runs/${slow.id}/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${stuckApi.adminKey}\r\n\r\n`,
    );
    await new Promise((resolve) => socket.once("readable", resolve));
    const open = async () => Number(/^maia_sse_streams (\d+)$/m.exec((await stuckApi.get("/metrics")).text)![1]);
    while ((await open()) > 0) await new Promise(setImmediate);
    socket.destroy();
  });
});

describe("three hundred followers", () => {
  it("of one run cost one read per commit, and all see the same", async () => {
    const streams = await Promise.all(Array.from({ length: 300 }, () => followRun("?until=end")));
    await Promise.all(streams.map((stream) => stream.until((events) => events.length === 1)));
    const { sql } = api.db;
    const { get, all } = sql;
    let reads = 0;
    const counting =
      (method: (text: string, ...values: never[]) => Promise<unknown>) =>
      (text: string, ...values: never[]) => {
        if (text.includes(`"LogEvent"`)) reads++;
        return method.call(sql, text, ...values);
      };
    Object.assign(sql, { get: counting(get), all: counting(all) });
    const commits = 20;
    for (let i = 1; i <= commits; i++) {
      await logEvent(api.db, run, attempt, i, [`line ${i}`]);
      await Promise.all(streams.map((stream) => stream.until((events) => events.length === i + 1)));
    }
    Object.assign(sql, { get, all });
    expect(reads).toBeLessThan(commits * 10);
    await endRun(api, run);
    await Promise.all(streams.map(({ ended }) => ended));
    const all300 = await stored();
    for (const stream of streams) expect(stream.events).toEqual(all300);
  });
});

describe("the events of everything", () => {
  it("begin now, and leave log lines out unless they are asked for", async () => {
    await using plain = await followAll();
    await using chosen = await followAll("?kinds=log_line,run_status");
    await using noted = await followAll("?kinds=job_status");
    await someLogs(2);
    const job = await aJob(api, await aWorkflow(api, "another"));
    await api.post(`/v1/jobs/${job.id}/cancel`);
    await endRun(api, run);
    const kinds = (events: readonly { event: string | undefined }[]) => events.map(({ event }) => event);
    expect(kinds(await plain.until((events) => events.length === 3))).toEqual([
      "job_status",
      "run_status",
      "job_status",
    ]);
    expect(kinds(await chosen.until((events) => events.length === 3))).toEqual(["log_line", "log_line", "run_status"]);
    expect(kinds(await noted.until((events) => events.length === 2))).toEqual(["job_status", "job_status"]);
    expect(status(await api.get("/v1/events?kinds=log_line,secrets"))).toBe(422);
  });

  it("are those of the projects that the key may read", async () => {
    const { id } = (await api.post("/v1/projects", { name: "elsewhere" })).json;
    const stranger = await api.keyOf("viewer", [id]);
    await using theirs = await followAll("", stranger);
    await using narrowed = await followAll("?project=elsewhere");
    const mine = await aJob(api, await aWorkflow(api, "mine"));
    const other = await aJob(api, await aWorkflow(api, "other", "elsewhere"));
    for (const job of [mine, other]) await api.post(`/v1/jobs/${job.id}/cancel`);
    for (const stream of [theirs, narrowed]) {
      const [event] = await stream.until((events) => events.length === 1);
      expect(JSON.parse(event!.data).jobId).toBe(other.id);
    }
    expect(status(await api.get("/v1/events?project=default", { key: stranger }))).toBe(404);
  });

  it("go on where a reader left, however much was logged meanwhile", async () => {
    const { id } = (await api.db.sql.get<{ id: number }>(`SELECT max("id") AS "id" FROM "LogEvent"`))!;
    await api.db.write(async (tx) => {
      for (let i = 1; i <= 3_000; i++) {
        const about = { runId: run.id, projectId: run.projectId, attemptId: attempt, fromSeq: i, toSeq: i };
        await tx.event("log_line", about, { runId: run.id, stepKey: "first", attemptNo: 1, lines: [] });
      }
    });
    await endRun(api, run);
    await using stream = await followAll(`?after=${id}`);
    const events = await stream.until((seen) => seen.length === 2);
    expect(events.map(({ event }) => event)).toEqual(["run_status", "job_status"]);
  });
});

describe("stopping", () => {
  it("ends the streams with a hint to come back (F06)", async () => {
    await using stream = await followRun();
    await stream.until((events) => events.length === 1);
    await api.stop();
    await stream.ended;
    expect(stream.retries).toEqual([2_000, 1_000]);
  });
});
