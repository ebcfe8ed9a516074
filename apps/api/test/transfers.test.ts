import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { noteStoredAfar } from "@maia/db";
import { newId, sha256Hex } from "@maia/domain";
import type { Frame } from "@maia/runner-protocol";
import { readConfig } from "../src/config.js";
import { aLife, anOffer, aRunner, published, ScriptedRunner, type TestRunner } from "./fleet.js";
import { anAttempt, aRun, aWorkflow } from "./rows.js";
import { type Answer, openTestApi, type TestApi } from "./support.js";

const BYTES = "these bytes stay where they are";
const STORE = "sto_one";

let api: TestApi;
let runner: TestRunner;
let us: ScriptedRunner;

beforeEach(async () => {
  const { constants } = readConfig({});
  api = await openTestApi({
    constants: { ...constants, runnerHeartbeatMs: 100, transferWaitMs: 600_000, streamIdleMs: 600_000 },
  });
  runner = await aRunner(api, "eu-1");
  us = await ScriptedRunner.connect(api, runner);
  await us.hello({ storeId: STORE });
});
afterEach(() => api[Symbol.asyncDispose]());

/** An artifact whose bytes the runner keeps. */
async function keptArtifact(bytes = BYTES): Promise<string> {
  const run = await aRun(api, await aWorkflow(api));
  const attemptId = await anAttempt(api, run);
  const id = newId("artifact", api.now);
  const [sha256, sizeBytes] = [sha256Hex(bytes), Buffer.byteLength(bytes)];
  const about = { runId: run.id, attemptId, stepKey: "first", attemptNo: 1, name: "a.txt", mime: "text/plain" };
  await api.db.write(async (tx) => {
    const data = { ...about, id, sha256, sizeBytes: BigInt(sizeBytes), system: false, createdAt: api.now };
    await tx.models.artifact.create({ data });
    await noteStoredAfar(tx, id, { storeId: STORE, runnerId: runner.id, sha256, sizeBytes });
  });
  return id;
}

interface Send {
  readonly transferId: string;
  readonly start: number;
  readonly end: number;
}

/** The command that the runner gets once somebody asks. */
async function asked(): Promise<Send> {
  for (;;) {
    const { commands } = (await us.poll()).json;
    const send = commands.find(({ type }) => type === "SEND");
    if (send) return send as unknown as Send;
  }
}

const content = (id: string, headers: Record<string, string> = {}) =>
  api.get(`/v1/artifacts/${id}/content`, { headers });

/** What becomes of a download that may break off. */
const outcome = (download: Promise<Answer>) =>
  download.then(
    ({ status, text }) => [status, text],
    () => "broke off",
  );

function put(transferId: string, body: string, by = us, headers: Record<string, string> = {}): Promise<Answer> {
  const all = { "Maia-Generation": String(by.generation), ...headers };
  return api.request("PUT", `/v1/gateway/transfers/${transferId}`, { key: by.token, headers: all, body });
}

describe("Bytes that a runner keeps", () => {
  it("are asked for by a command, passed on as they come, and leave nothing behind (F79)", async () => {
    const id = await keptArtifact();
    const download = content(id);
    const { transferId, ...send } = await asked();
    expect(send).toMatchObject({ type: "SEND", storeId: STORE, sha256: sha256Hex(BYTES), start: 0, end: 30 });
    expect((await put(transferId, BYTES)).status).toBe(204);
    expect(await outcome(download)).toEqual([200, BYTES]);
    expect(await api.blobs.has(sha256Hex(BYTES))).toBe(false);
    expect(await api.db.sql.all(`SELECT "id" FROM "RunnerCommand"`)).toEqual([]);
    expect((await put(transferId, BYTES)).status).toBe(404);
  });

  it("come in parts, as they are asked for (F79)", async () => {
    const download = content(await keptArtifact(), { Range: "bytes=6-10" });
    const { transferId, start, end } = await asked();
    expect([start, end]).toEqual([6, 10]);
    await put(transferId, BYTES.slice(start, end + 1));
    expect(await outcome(download)).toEqual([206, "bytes"]);
  });

  it("are taken from nobody but the instance that was asked for them (C13, F79)", async () => {
    const id = await keptArtifact();
    const download = content(id);
    const { transferId } = await asked();
    const other = await ScriptedRunner.connect(api, await aRunner(api, "us-1"));
    await other.hello({ storeId: STORE });
    const older = us.sibling(us.ledgerId);
    older.generation = us.generation - 1;
    const refusals = [
      await put(transferId, "wrong", other),
      await put(`trf_${"0".repeat(48)}`, "wrong"),
      await put(transferId, "wrong", older),
      await api.request("PUT", `/v1/gateway/transfers/${transferId}`, { body: "wrong" }),
    ];
    expect(refusals.map(({ json }) => json.code)).toEqual(["NOT_FOUND", "NOT_FOUND", "SUPERSEDED", "FORBIDDEN"]);
    expect((await put(transferId, BYTES)).status).toBe(204);
    expect(await outcome(download)).toEqual([200, BYTES]);
  });

  it.each([
    ["too few", BYTES.slice(0, 9)],
    ["too many", `${BYTES}!`],
    ["others", BYTES.replace("stay", "flee")],
  ])("are no whole file where %s come (G19, F79)", async (_, sent) => {
    const download = outcome(content(await keptArtifact()));
    const { transferId } = await asked();
    const answer = await put(transferId, sent);
    expect([answer.status, await download]).toEqual([404, "broke off"]);
  });

  it("are sent no further once nobody waits for them (F79)", async () => {
    const id = await keptArtifact();
    const leaving = new AbortController();
    const headers = { Authorization: `Bearer ${api.adminKey}`, Range: "bytes=0-20" };
    const download = fetch(`${api.url}/v1/artifacts/${id}/content`, { headers, signal: leaving.signal });
    const { transferId } = await asked();
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(Buffer.from(BYTES.slice(0, 10))), // and more never comes
    });
    const sending = api
      .request("PUT", `/v1/gateway/transfers/${transferId}`, {
        key: us.token,
        headers: { "Maia-Generation": String(us.generation) },
        body,
      })
      .then(
        ({ status }) => status,
        () => "cut",
      );
    await (await download).body?.getReader().read();
    leaving.abort();
    expect([404, "cut"]).toContain(await sending);
  });

  it("that are gone are said to be, with what the runner says of them (F79)", async () => {
    const download = content(await keptArtifact());
    const { transferId } = await asked();
    const problem = { "Maia-Transfer-Problem": encodeURIComponent("they are not in its store any more") };
    expect((await put(transferId, "-", us, problem)).status).toBe(204);
    const { status, json } = await download;
    expect([status, json.code]).toEqual([410, "CONTENT_GONE"]);
    expect(json.detail).toBe("The runner eu-1 kept these bytes, and they are not in its store any more");
  });

  it("are asked for anew where the process ends that was asked, and another one takes its place (F79)", async () => {
    const download = content(await keptArtifact());
    const first = await asked();
    await us.hello({ storeId: STORE }); // the next process of the same instance
    const second = await asked();
    expect(second.transferId).not.toBe(first.transferId);
    expect((await put(first.transferId, BYTES)).status).toBe(404);
    expect((await put(second.transferId, BYTES)).status).toBe(204);
    expect(await outcome(download)).toEqual([200, BYTES]);
  });

  it("cannot be had from a runner that is gone, or has another store by now (F79)", async () => {
    const id = await keptArtifact();
    await us.hello({ storeId: "sto_two" });
    expect((await content(id)).json.code).toBe("RUNNER_NOT_CONNECTED");
    await us.hello({ storeId: STORE });
    await us.goodbye();
    const { status, json, headers } = await content(id);
    expect([status, json.code, headers.get("retry-after")]).toEqual([503, "RUNNER_NOT_CONNECTED", "30"]);
  });
});

describe("A file in a request for a job whose data stays at its runner", () => {
  /** Asks for a job with a file, and takes the file as the runner does, up to telling of it. */
  async function sent(file: string): Promise<{ job: Promise<Answer>; taken: Answer; commandId: string }> {
    await published(api, "sent");
    await api.post("/v1/projects/default/environments", {
      name: "eu",
      dataResidency: "runner",
      defaultRunner: runner.id,
    });
    const form = new FormData();
    form.append("request", JSON.stringify({ workflow: "sent", environment: "eu" }));
    form.append("files", new Blob([file]), "a.txt");
    const job = api.request("POST", "/v1/jobs", { body: form });
    for (;;) {
      const { commands } = (await us.poll()).json;
      const receive = commands.find(({ type }) => type === "RECEIVE");
      if (!receive) continue;
      const headers = { "Maia-Generation": String(us.generation) };
      const taken = await api.request("GET", `/v1/gateway/transfers/${receive.transferId}`, { key: us.token, headers });
      return { job, taken, commandId: receive.id };
    }
  }

  const told = (commandId: string, result: object) =>
    us.poll({ gotCommands: [commandId], results: [{ id: commandId, result }] });

  it("is passed on to an instance, whose word of it counts where it fits, and is known in no project (F79)", async () => {
    const { job, taken, commandId } = await sent(BYTES);
    expect([taken.status, taken.text]).toEqual([200, BYTES]);
    const sha256 = sha256Hex(BYTES);
    await told(commandId, { sha256, sizeBytes: BYTES.length, mime: "text/plain" });
    const { status, json } = await job;
    expect(status).toBe(201);
    const text = `SELECT f."status", f."sha256", s."storeId" FROM "InputFile" f JOIN "StoredAfar" s ON s."ownerId" = f."id" WHERE f."jobRunId" = ?`;
    expect(await api.db.sql.get(text, json.id)).toEqual({ status: "READY", sha256, storeId: STORE });
    expect((await api.request("HEAD", `/v1/blobs/${sha256}`)).status).toBe(404);
    const again = { workflow: "sent", files: [{ name: "a.txt", sha256 }] };
    expect((await api.post("/v1/jobs", again)).json.code).toBe("BLOB_UNKNOWN");
  });

  it.each([
    [503, "RUNNER_NOT_CONNECTED", { error: "its disk is full" }],
    [422, "HASH_MISMATCH", { sha256: sha256Hex("others"), sizeBytes: 6, mime: "text/plain" }],
  ])("makes no job where the runner has not kept it: %s %s (F79)", async (status, code, result) => {
    const { job, commandId } = await sent(BYTES);
    await told(commandId, result);
    const answer = await job;
    expect([answer.status, answer.json.code]).toEqual([status, code]);
    expect(await api.db.sql.all(`SELECT "id" FROM "JobRun"`)).toEqual([]);
  });
});

describe("The frames of an attempt whose data stays at its runner", () => {
  const artifact = (more: object): Frame => {
    const file = { name: "a.txt", sha256: sha256Hex(BYTES), sizeBytes: BYTES.length, mime: "text/plain" };
    return { type: "artifact", seq: 2, ...file, ...more };
  };

  /** An attempt of a run that is bound to the runner's store. */
  async function bound() {
    const workflow = await published(api, "kept");
    const made = await anOffer(api, us, workflow);
    await api.db.write(async ({ sql }) => {
      await sql.run(`UPDATE "JobRun" SET "dataResidency" = 'runner' WHERE "id" = ?`, made.run.jobId);
      await sql.run(`UPDATE "Run" SET "storeId" = ? WHERE "id" = ?`, STORE, made.run.id);
    });
    const [task] = (await us.poll()).json.tasks;
    expect(task.keep).toBe(STORE);
    return made;
  }

  it("name artifacts whose bytes Maia never has, and says where they are (F79)", async () => {
    const attempt = await bound();
    const [started] = aLife(attempt);
    expect((await us.frames(attempt, [started!, artifact({ storeId: STORE })])).json.ackedSeq).toBe(2);
    const { items } = (await api.get(`/v1/runs/${attempt.run.id}/artifacts`)).json;
    const location = { residency: "runner", runnerId: runner.id, runnerName: "eu-1" };
    expect(items.find(({ name }: { name: string }) => name === "a.txt")).toMatchObject({ location });
    const own = items.find(({ name }) => name === "input.json");
    expect(own?.location).toEqual({ residency: "maia" });
  });

  it("are refused where they name another store, or none; and so are the bytes (F79)", async () => {
    const attempt = await bound();
    const [started] = aLife(attempt);
    for (const more of [{}, { storeId: "sto_two" }]) {
      const answer = await us.frames(attempt, [started!, artifact(more)]);
      expect([answer.status, answer.json.code]).toEqual([400, "BAD_REQUEST"]);
    }
    const sent = await us.blob("PUT", attempt, sha256Hex(BYTES), new Uint8Array(Buffer.from(BYTES)));
    expect([sent.status, sent.json.code]).toEqual([409, "STATE_CONFLICT"]);
    expect(await api.blobs.has(sha256Hex(BYTES))).toBe(false);
  });
});
