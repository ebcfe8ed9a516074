import { afterAll, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import { createRunnerCommand, requestStop, toDbTime } from "@maia/db";
import { HOUR, newId, sha256Hex } from "@maia/domain";
import { createLogger } from "@maia/service";
import { readConfig } from "../src/config.js";
import { start } from "../src/start.js";
import {
  aLife,
  anOffer,
  aRunner,
  attemptRow,
  openFleetApi,
  type PollBody,
  type Published,
  pause,
  published,
  resume,
  ScriptedRunner,
  type TestRunner,
} from "./fleet.js";
import { type Answer, openTestApi, type TestApi } from "./support.js";

/** Longer than any test: a poll that is answered was woken. */
const NEVER_MS = 600_000;

let api: TestApi;
let workflow: Published;
let runner: TestRunner;
let us: ScriptedRunner;
let count = 0;

beforeAll(async () => {
  api = await openFleetApi(NEVER_MS);
  workflow = await published(api, "fleet");
});
afterAll(() => api[Symbol.asyncDispose]());
beforeEach(async () => {
  runner = await aRunner(api, `runner-${++count}`);
  us = await ScriptedRunner.connect(api, runner);
});

/** Sends a poll and comes back once it waits. */
async function parked(
  runner = us,
  body: PollBody = {},
  at: Pick<TestApi, "db" | "get"> = api,
): Promise<{ readonly answer: Promise<Answer> }> {
  const text = `SELECT "heartbeatSeq" AS "seq" FROM "RunnerInstance" WHERE "id" = ?`;
  const polls = async () => (await at.db.sql.get<{ seq: number }>(text, runner.instanceId))!.seq;
  const before = await polls();
  const heardLongAgo = `UPDATE "RunnerInstance" SET "lastSeenAt" = ? WHERE "id" = ?`; // so that this poll is noted
  await at.db.write(({ sql }) => sql.run(heardLongAgo, toDbTime(new Date(0)), runner.instanceId));
  const answer = runner.poll(body);
  while ((await polls()) === before) await at.get("/healthz");
  return { answer };
}

function refreshSecret({ id }: TestRunner): Promise<unknown> {
  return api.db.write((tx) => {
    tx.ring("engine");
    const text = `UPDATE "Runner" SET "secretHash" = ?, "secretVersion" = "secretVersion" + 1 WHERE "id" = ?`;
    return tx.sql.run(text, sha256Hex(`new ${count}`), id);
  });
}

describe("A poll that waits", () => {
  it("is woken by an offer, by a command, by a cancel and by the end of a pause", async () => {
    const offer = await parked();
    const bound = await anOffer(api, us, workflow);
    expect((await offer.answer).json.tasks[0].attemptId).toBe(bound.ref.id);

    const running = [bound.ref.id];
    const command = await parked(us, { running });
    const id = await api.db.write((tx) => createRunnerCommand(tx, { ...us, type: "CONNECTIVITY" }, api.now));
    expect((await command.answer).json.commands).toEqual([{ id, type: "CONNECTIVITY" }]);

    const cancel = await parked(us, { running, gotCommands: [id] });
    await api.db.write(async (tx) => {
      await requestStop(tx, bound.run, bound.ref.id, api.now);
      tx.ring("engine");
    });
    expect((await cancel.answer).json.commands).toMatchObject([{ type: "CANCEL", attemptId: bound.ref.id }]);

    await us.frames(bound, aLife(bound));
    await pause(api, runner.id);
    const held = await anOffer(api, us, workflow);
    const paused = await parked();
    await resume(api, runner.id);
    expect((await paused.answer).json.tasks[0].attemptId).toBe(held.ref.id);
  });

  it("is not woken by a cancel that it has, nor by work for others", async () => {
    const bound = await anOffer(api, us, workflow);
    await us.poll();
    await api.db.write((tx) => requestStop(tx, bound.run, bound.ref.id, api.now));
    const running = [bound.ref.id];
    const [{ id }] = (await us.poll({ running })).json.commands;
    const waits = await parked(us, { running, gotCommands: [id] });
    const other = await ScriptedRunner.connect(api, runner, "lgr_other");
    const theirs = await anOffer(api, other, workflow);
    expect(await other.tasks()).toEqual([theirs.ref.id]);
    const next = us.poll({ running, gotCommands: [id] });
    expect((await waits.answer).json).toMatchObject({ tasks: [], commands: [] }); // ended by the second, and only by it
    await us.goodbye();
    expect((await next).status).toBe(200);
  });

  it("ends when its instance sends another one, which goes on", async () => {
    const first = await parked();
    const second = await parked();
    expect((await first.answer).json).toMatchObject({ tasks: [], commands: [] });
    const { ref } = await anOffer(api, us, workflow);
    expect((await second.answer).json.tasks[0].attemptId).toBe(ref.id);
  });

  it("ends with SUPERSEDED when a newer process has the ledger, and the older one starts nothing more (G24)", async () => {
    const older = await ScriptedRunner.connect(api, runner);
    const bound = await anOffer(api, older, workflow);
    await older.poll();
    const waits = await parked(older, { running: [bound.ref.id] });
    const newer = await ScriptedRunner.connect(api, runner);
    expect(newer.instanceId).toBe(older.instanceId);
    for (const answer of [
      await waits.answer,
      await older.poll(),
      await older.frames(bound, aLife(bound)),
      await older.blob("GET", bound, sha256Hex("export default () => ({})")),
      await older.goodbye(),
    ])
      expect([answer.status, answer.json.code]).toEqual([409, "SUPERSEDED"]);
    expect((await attemptRow(api, bound.ref.id))?.status).toBe("DISPATCHING");
    expect((await newer.frames(bound, aLife(bound))).json.ended).toBe(true);
  });

  it("ends with 401 when the runner's secret is refreshed, and the old token opens nothing (G24, B109)", async () => {
    const bound = await anOffer(api, us, workflow);
    await us.poll();
    const waits = await parked(us, { running: [bound.ref.id] });
    await refreshSecret(runner);
    for (const answer of [
      await waits.answer,
      await us.poll(),
      await us.hello(),
      await us.frames(bound, aLife(bound)),
      await us.goodbye(),
    ])
      expect([answer.status, answer.json.code]).toEqual([401, "UNAUTHENTICATED"]);
    expect((await attemptRow(api, bound.ref.id))?.status).toBe("DISPATCHING");
    const renewed = await ScriptedRunner.connect(api, { id: runner.id, secret: `new ${count}` }, us.ledgerId);
    expect((await renewed.frames(bound, aLife(bound))).json.ended).toBe(true);
  });

  it("ends when the runner is deleted (G23)", async () => {
    const waits = await parked();
    await api.db.write(async (tx) => {
      tx.ring("engine");
      await tx.models.runner.delete({ where: { id: runner.id } });
    });
    expect((await waits.answer).json).toMatchObject({ tasks: [], commands: [] });
    expect((await us.poll()).status).toBe(401);
  });

  it("ends at once when the server stops, and another server on the database goes on", async () => {
    const own = await openFleetApi(NEVER_MS);
    try {
      const scripted = await ScriptedRunner.connect(own, await aRunner(own, "restarted"));
      const hello = await published(own, "hello");
      const bound = await anOffer(own, scripted, hello);
      await scripted.poll();
      await scripted.frames(bound, aLife(bound).slice(0, 2));
      const waits = await parked(scripted, { running: [bound.ref.id] }, own);
      await own.stop();
      expect((await waits.answer).json).toMatchObject({ tasks: [], commands: [] });

      const logger = createLogger({ level: "error", format: "json", name: "api" });
      await using again = await start(readConfig({ MAIA_API_PORT: "0" }), { ...own, logger, clock: () => own.now });
      const post = async (path: string, body: string, type: string) => {
        const headers = {
          Authorization: `Bearer ${scripted.token}`,
          "Content-Type": type,
          "Maia-Generation": "1",
          "Maia-Attempt-Token": bound.token,
        };
        return (await fetch(again.url + path, { method: "POST", headers, body })).json();
      };
      const poll = JSON.stringify({ free: 1, running: [] });
      const { tasks } = (await post(`/v1/gateway/instances/${scripted.instanceId}/poll`, poll, "application/json")) as {
        tasks: { attemptId: string }[];
      };
      expect(tasks.map(({ attemptId }) => attemptId)).toEqual([bound.ref.id]);
      const life = aLife(bound)
        .map((frame) => `${JSON.stringify(frame)}\n`)
        .join("");
      const path = `/v1/gateway/attempts/${bound.ref.id}/frames`;
      expect(await post(path, life, "application/x-ndjson")).toEqual({ ackedSeq: 3, ended: true });
    } finally {
      await own[Symbol.asyncDispose]();
    }
  });

  it("is one of a thousand, 250 at once: each is answered, and what is offered is still handed over (B109)", async () => {
    const statuses = new Set<number>();
    for (let wave = 0; wave < 4; wave++) {
      let left = 250;
      const { promise: allButOne, resolve, reject } = Promise.withResolvers<void>();
      const polls = Array.from({ length: left }, async () => {
        const { status, headers } = await us.poll();
        statuses.add(status);
        if (status === 429) expect(headers.get("Retry-After")).toBe("1");
        if (--left === 1) resolve();
      });
      const all = Promise.all(polls);
      all.catch(reject);
      await allButOne; // the last one waits
      const { ref } = await anOffer(api, us, workflow);
      await all;
      expect(await us.tasks({ free: 1_000 })).toContain(ref.id);
    }
    expect([...statuses].sort()).toEqual([200, 429]);
  });

  it("is one of a hundred instances', each woken by its own work only", async () => {
    const fleet = Array.from({ length: 100 }, (_, index) => us.sibling(`lgr_${index}`));
    for (const one of fleet) await one.hello();
    const answers = fleet.map((one) => one.poll());
    const bound = await Promise.all(fleet.map((one) => anOffer(api, one, workflow)));
    const got = await Promise.all(answers);
    expect(got.map(({ json }) => json.tasks.map((task: { attemptId: string }) => task.attemptId))).toEqual(
      bound.map(({ ref }) => [ref.id]),
    );
  });
});

describe("The gateway's routes", () => {
  const routes = (): [string, string][] => [
    ["POST", "/v1/gateway/instances"],
    ["POST", `/v1/gateway/instances/${us.instanceId}/poll`],
    ["DELETE", `/v1/gateway/instances/${us.instanceId}`],
    ["POST", "/v1/gateway/attempts/att_1/frames"],
    ["GET", `/v1/gateway/attempts/att_1/blobs/${"0".repeat(64)}`],
    ["PUT", `/v1/gateway/attempts/att_1/blobs/${"0".repeat(64)}`],
  ];

  it("are closed to users' keys, to garbage and to nobody (B103)", async () => {
    const key = await api.keyOf("admin");
    for (const [method, path] of routes()) {
      expect([path, (await api.request(method, path, { key })).status]).toEqual([path, 403]);
      expect([path, (await api.request(method, path, { key: null })).status]).toEqual([path, 401]);
      expect([path, (await api.request(method, path, { key: `${us.token}x` })).status]).toEqual([path, 401]);
    }
  });

  it("are all that a runner's token opens (B103)", async () => {
    const openApi = (await api.get("/v1/openapi.json")).json;
    for (const [path, methods] of Object.entries(
      openApi.paths as Record<string, Record<string, { security?: object }>>,
    )) {
      if (path === "/v1/gateway" || path.startsWith("/v1/gateway/")) continue;
      for (const [method, operation] of Object.entries(methods)) {
        if (operation.security) continue; // open to anyone
        const target = path.replace(/\{\w+\}/g, "x_1");
        const { status } = await api.request(method.toUpperCase(), target, { key: us.token });
        expect([method, path, status]).toEqual([method, path, 403]);
      }
    }
  });

  it("refuse a token that has run out (B109)", async () => {
    const own = await openTestApi();
    try {
      const runner = await ScriptedRunner.connect(own, await aRunner(own, "late"));
      own.now = new Date(own.now.getTime() + HOUR);
      expect((await runner.poll()).status).toBe(401);
    } finally {
      await own[Symbol.asyncDispose]();
    }
  });

  it("know no instance or attempt of another runner, and change nothing there (B109, B110, C13)", async () => {
    const bound = await anOffer(api, us, workflow);
    await us.poll();
    const other = await ScriptedRunner.connect(api, await aRunner(api, `other-${count}`));
    const before = await parked(us, { running: [bound.ref.id] });
    const ours = other.instanceId;
    other.instanceId = us.instanceId;
    expect([(await other.poll()).status, (await other.goodbye()).status]).toEqual([404, 404]);
    other.instanceId = ours;
    for (const answer of [
      await other.frames(bound, aLife(bound)),
      await other.blob("GET", bound, sha256Hex("export default () => ({})")),
      await other.blob("PUT", bound, sha256Hex("x"), Buffer.from("x")),
    ])
      expect([answer.status, answer.json.code]).toEqual([404, "NOT_FOUND"]);
    expect((await attemptRow(api, bound.ref.id))?.lastSeq).toBe(0);
    const { ref } = await anOffer(api, us, workflow);
    expect((await before.answer).json.tasks[0].attemptId).toBe(ref.id); // nobody took its seat
  });

  it("take reports only from who holds the attempt's token (B110, S12)", async () => {
    const bound = await anOffer(api, us, workflow);
    const second = await anOffer(api, us, workflow);
    await us.poll();
    for (const token of ["", "x", second.token, `${bound.token}x`]) {
      const answer = await us.frames({ ...bound, token }, aLife(bound));
      expect([answer.status, answer.json.code]).toEqual([403, "FORBIDDEN"]);
    }
    expect((await attemptRow(api, bound.ref.id))?.status).toBe("DISPATCHING");
  });

  it("want the generation, and name the header that is missing or no number", async () => {
    for (const value of ["", "0", "-1", "1.5", "9".repeat(40), "one"]) {
      const { status, json } = await us.poll({}, { "Maia-Generation": value });
      expect([value, status, json.errors?.[0].pointer]).toEqual([value, 422, "/maia-generation"]);
    }
    const ahead = await us.poll({}, { "Maia-Generation": "99" });
    expect([ahead.status, ahead.json.code]).toEqual([404, "NOT_FOUND"]);
  });

  it.each<[string, Record<string, unknown>]>([
    ["free", { free: -1 }],
    ["free", { free: 1e9 }],
    ["running", { running: ["../x"] }],
    ["running", { running: "att_1" }],
    ["load", { load: { cpu: -1 } }],
    ["results", { results: [{ id: "cmd_1", result: { text: "x".repeat(5_000) } }] }],
  ])("refuse a poll whose %s is absurd, and name it", async (field, body) => {
    const { status, json } = await us.poll(body as PollBody);
    expect([status, json.errors[0].pointer.startsWith(`/${field}`)]).toEqual([422, true]);
  });

  it("give no token for the hosted runner, which has no secret", async () => {
    const hosted = await api.db.sql.get<{ id: string }>(`SELECT "id" FROM "Runner" WHERE "name" = 'hosted'`);
    await expect(ScriptedRunner.withToken(api, { id: hosted!.id, secret: "" })).rejects.toThrow("invalid_client");
    const nobody = { id: newId("runner", api.now), secret: "x" };
    await expect(ScriptedRunner.withToken(api, nobody)).rejects.toThrow("invalid_client");
  });
});
