import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { contentSize, noteStoredAfar } from "@maia/db";
import { newId, sha256Hex } from "@maia/domain";
import { aRunner, ScriptedRunner, type TestRunner } from "./fleet.js";
import { anAttempt, aRun, aWorkflow, endRun } from "./rows.js";
import { openTestApi, type TestApi } from "./support.js";

const STORE = "sto_one";
const HOUR = 3_600_000;
const [kept, left, young] = ["kept", "left", "young"].map((text) => sha256Hex(text)) as [string, string, string];

let api: TestApi;
let runner: TestRunner;
let us: ScriptedRunner;

beforeEach(async () => {
  api = await openTestApi();
  runner = await aRunner(api, "eu-1");
  us = await ScriptedRunner.connect(api, runner);
});
afterEach(() => api[Symbol.asyncDispose]());

/** A run that goes on with the store, and has left an artifact in it. */
async function aKeptRun() {
  const run = await aRun(api, await aWorkflow(api));
  const attemptId = await anAttempt(api, run);
  const id = newId("artifact", api.now);
  await api.db.write(async (tx) => {
    const about = { runId: run.id, attemptId, stepKey: "first", attemptNo: 1, name: "a.txt", mime: "text/plain" };
    const data = { ...about, id, sha256: kept, sizeBytes: 4n, system: false, createdAt: api.now };
    await tx.models.artifact.create({ data });
    await noteStoredAfar(tx, id, { storeId: STORE, runnerId: runner.id, sha256: kept, sizeBytes: 4 });
    await tx.sql.run(`UPDATE "Run" SET "storeId" = ? WHERE "id" = ?`, STORE, run.id);
  });
  return run;
}

/** What an instance with the store is told that it may remove of content that was put so long ago. */
async function unused(ages: Record<string, number>): Promise<string[]> {
  await us.hello({ storeId: STORE });
  const blobs = Object.entries(ages).map(([sha256, ageMs]) => ({ sha256, ageMs }));
  return (await ask({ blobs })).json.unused;
}

const ask = (body: object) =>
  api.post(`/v1/gateway/instances/${us.instanceId}/unused-content`, body, {
    key: us.token,
    headers: { "Maia-Generation": String(us.generation) },
  });

describe("Content of a runner's store", () => {
  it("may go when nothing refers to it and it is not young (F79)", async () => {
    const run = await aKeptRun();
    await endRun(api, run);
    expect(await unused({ [kept]: 10 * HOUR, [left]: 10 * HOUR, [young]: HOUR - 1 })).toEqual([left]);
    expect((await api.request("DELETE", `/v1/runs/${run.id}`)).status).toBe(204);
    expect(await unused({ [kept]: 10 * HOUR })).toEqual([kept]);
  });

  it("stays while a run goes on that may have put it there and not told yet (F79)", async () => {
    await aKeptRun();
    api.now = new Date(api.now.getTime() + 5 * HOUR);
    us = await ScriptedRunner.connect(api, runner); // its token had run out
    expect(await unused({ [left]: 5 * HOUR, [young]: 6 * HOUR })).toEqual([young]);
  });

  it("is nothing that Maia has to make room for (F79)", async () => {
    await aKeptRun();
    expect(await contentSize(api.db.sql)).toBe(0);
  });

  it("is asked about by who has the store, and by its hash (F79)", async () => {
    expect((await ask({ blobs: [] })).json.code).toBe("STATE_CONFLICT");
    await us.hello({ storeId: STORE });
    expect((await ask({ blobs: [{ sha256: "x", ageMs: 1 }] })).json.errors[0].pointer).toBe("/blobs/0/sha256");
    const other = await ScriptedRunner.connect(api, await aRunner(api, "us-1"));
    const path = `/v1/gateway/instances/${us.instanceId}/unused-content`;
    const headers = { "Maia-Generation": String(other.generation) };
    expect((await api.post(path, { blobs: [] }, { key: other.token, headers })).status).toBe(404);
  });
});
