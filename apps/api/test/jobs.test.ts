import { readdir } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { moveJob, moveRun, toDbTime } from "@maia/db";
import { sha256Hex } from "@maia/domain";
import { aJob, anAttempt, aRun, aWorkflow, endRun, logEvent } from "./rows.js";
import { type Answer, openTestApi, type RequestOptions, type TestApi } from "./support.js";

let api: TestApi;

beforeEach(async () => {
  api = await openTestApi();
  await api.put("/v1/workflows/hello", { steps: [{ key: "a", script: "x" }] });
});

afterEach(() => api[Symbol.asyncDispose]());

/** A multipart body from parts that are written as they are. */
function multipart(parts: readonly string[], boundary = "b"): RequestOptions {
  const body = `${parts.map((part) => `--${boundary}\r\nContent-Disposition: form-data; ${part}\r\n`).join("")}--${boundary}--\r\n`;
  return { body, headers: { "Content-Type": `multipart/form-data; boundary=${boundary}` } };
}

const field = (name: string, value: string) => `name="${name}"\r\n\r\n${value}`;
const file = (name: string, filename: string, bytes: string, type = "text/plain") =>
  `name="${name}"; filename="${filename}"\r\nContent-Type: ${type}\r\n\r\n${bytes}`;
const request = field("request", '{"workflow":"hello"}');

async function filesOf(answer: Answer) {
  const rows = await api.db.models.inputFile.findMany({
    where: { jobRunId: answer.json.id },
    orderBy: { position: "asc" },
  });
  return rows.map(({ name, sha256, mime, sizeBytes }) => ({ name, sha256, mime, sizeBytes: Number(sizeBytes) }));
}

describe("a job", () => {
  it("is answered with its defaults and where it is", async () => {
    const answer = await api.post("/v1/jobs", { workflow: "hello", params: { top: 3 }, labels: { team: "etl" } });
    expect([answer.status, answer.headers.get("location")]).toEqual([201, `/v1/jobs/${answer.json.id}`]);
    expect(answer.json).toMatchObject({
      status: "QUEUED",
      runId: null,
      params: { top: 3 },
      labels: { team: "etl" },
      priority: 0,
      trigger: "manual",
    });
    expect((await api.get(answer.headers.get("location")!)).json).toEqual(answer.json);
  });

  it("is made once per Idempotency-Key, with files too (G2)", async () => {
    const once = (key: string, options: RequestOptions) =>
      api.request("POST", "/v1/jobs", { ...options, headers: { ...options.headers, "Idempotency-Key": key } });
    const first = await once("k1", multipart([request, file("files", "a.txt", "one")]));
    const again = await once("k1", multipart([request, file("files", "a.txt", "one")], "other"));
    const changed = await once("k1", multipart([request, file("files", "a.txt", "two")]));
    expect([first.status, first.headers.get("idempotent-replayed")]).toEqual([201, null]);
    expect([again.status, again.headers.get("idempotent-replayed"), again.headers.get("location")]).toEqual([
      201,
      "true",
      first.headers.get("location"),
    ]);
    expect([changed.status, changed.json.code]).toEqual([422, "IDEMPOTENCY_KEY_REUSED"]);
    expect((await api.get("/v1/jobs")).json.items).toHaveLength(1);
  });

  it("comes with files, kept once by their content, whatever comes first", async () => {
    const parts = [
      file("files", "ä b.csv", "x,y", "application/octet-stream"),
      request,
      file("files", "b.txt", "x,y"),
      file("files", "empty", ""),
    ];
    const answer = await api.request("POST", "/v1/jobs", multipart(parts));
    expect(answer.status).toBe(201);
    const sha256 = sha256Hex("x,y");
    expect(await filesOf(answer)).toEqual([
      { name: "ä b.csv", sha256, mime: "text/csv", sizeBytes: 3 },
      { name: "b.txt", sha256, mime: "text/plain", sizeBytes: 3 },
      { name: "empty", sha256: sha256Hex(""), mime: "text/plain", sizeBytes: 0 },
    ]);
    expect(await api.db.models.inputBlob.count()).toBe(2);
  });

  it.each([
    ["no boundary", { body: "x", headers: { "Content-Type": "multipart/form-data" } }, 400],
    ["a boundary of 300 characters", multipart([request], "b".repeat(300)), 400],
    ["no end", { ...multipart([request]), body: `--b\r\nContent-Disposition: form-data; ${request}` }, 400],
    ["a part without a name", multipart(['filename="a"\r\n\r\nx', request]), [400, 422]],
    [
      "a header of 64 KB in a part",
      multipart([`name="request"\r\nX-A: ${"a".repeat(65_536)}\r\n\r\n{}`]),
      [400, 413, 422],
    ],
    ["ten thousand parts", multipart(Array.from({ length: 10_000 }, () => file("files", "a", "x"))), 413],
    [
      "a multipart inside a multipart",
      multipart([`name="request"\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--`]),
      400,
    ],
    ["no request", multipart([file("files", "a", "x")]), 422],
    ["two requests", multipart([request, request]), 422],
    ["21 files", multipart([request, ...Array.from({ length: 21 }, (_, i) => file("files", `f${i}`, "x"))]), 413],
    ["a part that would be a field of its own", multipart([request, field("__proto__[x]", "1")]), 422],
    ["a file under the name of a path", multipart([request, file("files[0][path]", "a", "x")]), 422],
    ["text where a file is due", multipart([request, field("files", "/etc/passwd")]), 422],
    ["JSON that is none", multipart([field("request", "{")]), 400],
    ["a key that appears twice", multipart([field("request", '{"workflow":"hello","workflow":"x"}')]), 400],
  ] as const)("is refused with %s (B067, B068, B070)", async (_what, options, status) => {
    const answer = await api.request("POST", "/v1/jobs", options as RequestOptions);
    expect([status].flat()).toContain(answer.status);
    expect(answer.json.code).toMatch(/^(BAD_|INVALID|TOO_LARGE)/);
    expect((await api.get("/v1/jobs")).json.items).toEqual([]);
    expect(await readdir(api.dataDir.tmp)).toEqual([]);
  });

  it("is refused with a file above the limit, and nothing is left of it (B068)", async () => {
    const { constants } = (await import("../src/config.js")).readConfig({ MAIA_UPLOAD_FILE_MAX: "1000" });
    await using small = await openTestApi({ constants });
    await small.put("/v1/workflows/hello", { steps: [{ key: "a", script: "x" }] });
    const answer = await small.request(
      "POST",
      "/v1/jobs",
      multipart([request, file("files", "big", "x".repeat(1_001))]),
    );
    expect([answer.status, answer.json.code]).toEqual([413, "TOO_LARGE"]);
    expect(await readdir(small.dataDir.tmp)).toEqual([]);
    expect(
      (await small.request("POST", "/v1/jobs", multipart([request, file("files", "ok", "x".repeat(1_000))]))).status,
    ).toBe(201);
  });

  it("leaves nothing behind when its sender goes away in the middle (F53)", async () => {
    const start = `POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${api.adminKey}\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 100000\r\n\r\n`;
    const part = `--b\r\nContent-Disposition: form-data; ${file("files", "a.txt", "x".repeat(50_000))}`;
    const { connect } = await import("node:net");
    const socket = connect(Number(new URL(api.url).port), "127.0.0.1");
    socket.write(start + part);
    while ((await readdir(api.dataDir.tmp)).length === 0) await new Promise(setImmediate);
    socket.destroy();
    while ((await readdir(api.dataDir.tmp)).length > 0) await new Promise(setImmediate);
    expect((await api.get("/v1/jobs")).json.items).toEqual([]);
    expect(api.logged.filter(({ level }) => level === "error")).toEqual([]);
  });

  it("is refused with 408 when its sender falls silent in the middle, and nothing is left of it (F53)", async () => {
    await using hasty = await openTestApi({ uploadIdleMs: 50 });
    await hasty.put("/v1/workflows/hello", { steps: [{ key: "a", script: "x" }] });
    const head = `POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${hasty.adminKey}\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 100000\r\n\r\n`;
    const part = `--b\r\nContent-Disposition: form-data; ${file("files", "a.txt", "x".repeat(50_000))}`;
    expect(await hasty.raw(head + part, /\}$/)).toMatch(/^HTTP\/1\.1 408 /);
    expect((await hasty.get("/v1/jobs")).json.items).toEqual([]);
    expect(await readdir(hasty.dataDir.tmp)).toEqual([]);
  });

  it("shares its content with fifty others that bring the same at once under other names and types (B073)", async () => {
    const bytes = "the same, ".repeat(10_000);
    const types = ["text/plain", "text/html", "image/svg+xml", "application/octet-stream"];
    const send = (no: number) =>
      api.request(
        "POST",
        "/v1/jobs",
        multipart([request, file("files", `n${no}.txt`, bytes, types[no % 4]), file("files", "again", bytes)]),
      );
    const answers = await Promise.all(Array.from({ length: 50 }, (_, no) => send(no)));
    expect(answers.map(({ status }) => status)).toEqual(Array(50).fill(201));
    const files = await api.db.models.inputFile.findMany();
    expect([files.length, new Set(files.map(({ sha256 }) => sha256)).size]).toEqual([100, 1]);
    expect(new Set(files.map(({ name }) => name)).size).toBe(51);
    expect([await api.db.models.inputBlob.count(), (await Array.fromAsync(api.blobs.list())).length]).toEqual([1, 1]);
    expect([await api.blobs.verify(sha256Hex(bytes)), await readdir(api.dataDir.tmp)]).toEqual([true, []]);
  });

  it("is refused where its JSON names what only Maia knows (B071)", async () => {
    const odd = [
      { path: "/etc/passwd", originalname: "x" },
      { name: "x", sha256: "a".repeat(64), path: "/etc/passwd" },
      { filepath: "/x" },
      { blobId: "x" },
      { name: "x", status: "READY" },
    ];
    for (const one of odd) expect((await api.post("/v1/jobs", { workflow: "hello", files: [one] })).status).toBe(422);
    const unknown = await api.post("/v1/jobs", { workflow: "hello", files: [{ name: "x", sha256: "a".repeat(64) }] });
    expect([unknown.status, unknown.json.code, unknown.json.errors[0].pointer]).toEqual([
      422,
      "BLOB_UNKNOWN",
      "/files/0/sha256",
    ]);
  });

  it("is answered when it ends, if its caller would rather wait", async () => {
    const waiting = api.post("/v1/jobs", { workflow: "hello" }, { headers: { Prefer: "wait=30" } });
    let job: { id: string; projectId: string } | undefined;
    while (!job) [job] = (await api.get("/v1/jobs")).json.items;
    await api.db.write((tx) => moveJob(tx, job!, "refuse", api.now));
    const answer = await waiting;
    expect([answer.status, answer.json.status, answer.headers.get("preference-applied")]).toEqual([
      201,
      "FAILED",
      "wait=30",
    ]);
  });

  it("is answered after the time that its caller would wait at most", async () => {
    const answer = await api.post("/v1/jobs", { workflow: "hello" }, { headers: { Prefer: "respond-async, wait=0" } });
    expect([answer.status, answer.json.status, answer.headers.get("preference-applied")]).toEqual([
      201,
      "QUEUED",
      "wait=0",
    ]);
  });

  it("ends at once when it is cancelled in the queue, and is asked to end when it runs", async () => {
    const workflow = await aWorkflow(api, "other");
    const queued = await aJob(api, workflow);
    expect((await api.post(`/v1/jobs/${queued.id}/cancel`)).json).toMatchObject({
      status: "CANCELED",
      failure: { code: "CANCELED" },
    });
    const run = await aRun(api, workflow);
    const rung = api.db.bell("engine").next();
    const first = await api.post(`/v1/jobs/${run.jobId}/cancel`);
    await rung;
    api.now = new Date(api.now.getTime() + 1_000);
    const again = await api.post(`/v1/runs/${run.id}/cancel`);
    expect([first.status, first.json.status, again.status]).toEqual([202, "RUNNING", 202]);
    expect(again.json.cancelRequestedAt).toBe(first.json.cancelRequestedAt);
    await endRun(api, run);
    expect((await api.post(`/v1/runs/${run.id}/cancel`)).json.code).toBe("STATE_CONFLICT");
    expect((await api.post(`/v1/jobs/${run.jobId}/cancel`)).status).toBe(409);
  });

  it("is canceled with a reason, which the job, its run and its events show", async () => {
    const workflow = await aWorkflow(api, "other");
    const queued = await aJob(api, workflow);
    const reason = "The file was last week's";
    const ended = (await api.post(`/v1/jobs/${queued.id}/cancel`, { reason })).json;
    expect([ended.status, ended.cancelReason]).toEqual(["CANCELED", reason]);
    expect(ended.failure.message).toBe(`The job was canceled before it started: ${reason}`);
    const event = await api.db.models.logEvent.findFirstOrThrow({ orderBy: { id: "desc" } });
    expect(JSON.parse(event.data).failure).toEqual(ended.failure);

    const run = await aRun(api, workflow);
    expect((await api.post(`/v1/runs/${run.id}/cancel`, { reason })).json.cancelReason).toBe(reason);
    expect((await api.post(`/v1/runs/${run.id}/cancel`, { reason: "another" })).json.cancelReason).toBe(reason);
    expect((await api.get(`/v1/jobs/${run.jobId}`)).json.cancelReason).toBe(reason);
    expect((await api.get("/v1/runs")).json.items[0].cancelReason).toBe(reason);
    const { items } = (await api.get("/v1/audit-events")).json;
    expect(items[0]).toMatchObject({ action: "job.cancel", target: run.jobId, detail: JSON.stringify({ reason }) });
  });

  it("is not canceled with a reason that nobody can show, and is told which field is wrong", async () => {
    const { id } = (await api.post("/v1/jobs", { workflow: "hello" })).json;
    for (const reason of ["", "x".repeat(201), 7, "line\nline", null]) {
      const answer = await api.post(`/v1/jobs/${id}/cancel`, { reason });
      expect([answer.status, answer.json.errors?.[0].pointer]).toEqual([422, "/reason"]);
    }
    expect((await api.get(`/v1/jobs/${id}`)).json).toMatchObject({ status: "QUEUED", cancelReason: null });
  });

  it("that failed says what failed first, in which attempt, and its last lines", async () => {
    const run = await aRun(api, await aWorkflow(api, "other"));
    await logEvent(api.db, run, await anAttempt(api, run), 1, ["of the first attempt"]);
    const last = await anAttempt(api, run, 2);
    const texts = Array.from({ length: 12 }, (_, i) => `line ${i + 1}`);
    await api.db.write(async (tx) => {
      const lines = texts.map((line, i) => ({
        seq: i + 1,
        at: api.now.toISOString(),
        stream: "stderr" as const,
        line,
      }));
      const about = { runId: run.id, projectId: run.projectId, attemptId: last, fromSeq: 1, toSeq: 12 };
      await tx.event("log_line", about, { runId: run.id, stepKey: "first", attemptNo: 2, lines });
      await tx.sql.run(`UPDATE "Attempt" SET "status" = 'FAILED', "exitCode" = 3 WHERE "runId" = ?`, run.id);
      const failure = { code: "STEP_EXIT_CODE" as const, message: "exit code 3", stepKey: "first" };
      await moveRun(tx, run, "stepFailed", api.now, { failure });
    });
    const { failure } = (await api.get(`/v1/runs/${run.id}`)).json;
    expect(failure).toMatchObject({ code: "STEP_EXIT_CODE", stepKey: "first" });
    expect(failure.cause).toMatchObject({ kind: "attempt", attemptId: last, attemptNo: 2, attempts: 2, exitCode: 3 });
    expect(failure.cause.lines).toEqual(texts.slice(2).map((line) => ({ stream: "stderr", line })));
    const good = await aRun(api, await aWorkflow(api, "good"));
    await endRun(api, good);
    expect((await api.get(`/v1/runs/${good.id}`)).json.failure).toBeNull();
  });

  it("that failed for a file of its input names the file", async () => {
    const run = await aRun(api, await aWorkflow(api, "other"));
    await api.db.write(async (tx) => {
      await tx.sql.run(
        `INSERT INTO "InputFile" ("id", "jobRunId", "position", "name", "source", "status", "url", "error", "createdAt") VALUES ('file_1', ?, 0, 'a.csv', 'url', 'FAILED', 'http://h/a.csv', 'HTTP 404', ?)`,
        run.jobId,
        toDbTime(api.now),
      );
      const failure = { code: "INPUT_DOWNLOAD_FAILED" as const, message: "Input file a.csv: HTTP 404", stepKey: null };
      await moveRun(tx, run, "stepFailed", api.now, { failure });
    });
    const { failure } = (await api.get(`/v1/runs/${run.id}`)).json;
    expect(failure.cause).toMatchObject({ kind: "file", fileId: "file_1", name: "a.csv", error: "HTTP 404" });
  });

  it("can be deleted once it has ended, with all that is told of it, and is then nowhere", async () => {
    const run = await aRun(api, await aWorkflow(api, "other"));
    await logEvent(api.db, run, await anAttempt(api, run), 1, ["a", "b"]);
    const waits = await api.request("DELETE", `/v1/jobs/${run.jobId}`);
    expect([waits.status, waits.json.code, waits.json.detail]).toEqual([
      409,
      "STATE_CONFLICT",
      "It has not ended; cancel it first",
    ]);
    await endRun(api, run);
    expect((await api.request("DELETE", `/v1/runs/${run.id}`)).status).toBe(204);
    for (const path of [`/v1/jobs/${run.jobId}`, `/v1/runs/${run.id}`, `/v1/runs/${run.id}/logs`]) {
      expect((await api.get(path)).status).toBe(404);
    }
    expect((await api.request("DELETE", `/v1/runs/${run.id}`)).status).toBe(404);
    expect((await api.get("/v1/runs")).json.items).toEqual([]);
    expect(await api.db.models.attempt.count()).toBe(0);
    expect(await api.db.models.logEvent.count({ where: { runId: run.id } })).toBe(0);
    const { items } = (await api.get("/v1/audit-events")).json;
    expect(items[0]).toMatchObject({ action: "job.delete", target: run.jobId });
  });

  it("is not deleted while its batch goes on, while a re-run has its results, or by who may not", async () => {
    const workflow = await aWorkflow(api, "other");
    const run = await aRun(api, workflow);
    await endRun(api, run);
    const remove = (key = api.adminKey) => api.request("DELETE", `/v1/jobs/${run.jobId}`, { key });
    expect((await remove(await api.keyOf("operator"))).status).toBe(403);
    expect((await remove(await api.keyOf("admin", ["prj_other"]))).status).toBe(404);
    const rerun = await aJob(api, workflow);
    const change = (data: object) =>
      api.db.write(({ models }) => models.jobRun.update({ where: { id: rerun.id }, data }));
    await change({ originRunId: run.id });
    expect((await remove()).json.detail).toContain("A re-run has results of it");
    expect((await api.request("DELETE", `/v1/jobs/${rerun.id}`)).json.detail).toContain("has not ended");
    await change({ status: "CANCELED", finishedAt: api.now });
    expect((await remove()).status).toBe(204);
  });

  it("lies in the project that is named beside its workflow, by name or by id (B112)", async () => {
    const { id } = (await api.get("/v1/workflows/hello")).json;
    const { name } = (await api.post("/v1/projects", { name: "elsewhere" })).json;
    expect((await api.post("/v1/jobs", { workflow: id, project: "default" })).status).toBe(201);
    expect((await api.post("/v1/jobs", { workflow: id })).status).toBe(201);
    expect((await api.post("/v1/jobs", { workflow: id, project: name })).status).toBe(404);
    expect((await api.post("/v1/jobs", { workflow: id, project: "nowhere" })).status).toBe(404);
  });

  it("is not stopped with words that nobody reads (B001)", async () => {
    const { id } = (await api.post("/v1/jobs", { workflow: "hello" })).json;
    const json = { headers: { "Content-Type": "application/json" } };
    const broken = await api.request("POST", `/v1/jobs/${id}/cancel`, { ...json, body: "{" });
    const unknown = await api.post(`/v1/jobs/${id}/cancel`, { because: "late" });
    expect([broken.status, unknown.status]).toEqual([400, 422]);
    expect((await api.get(`/v1/jobs/${id}`)).json.status).toBe("QUEUED");
    expect((await api.post(`/v1/jobs/${id}/cancel`, {})).status).toBe(202);
  });

  it("says why it waits", async () => {
    const ahead = await api.post("/v1/jobs", { workflow: "hello" });
    const behind = await api.post("/v1/jobs", { workflow: "hello" });
    const codes = async (id: string) =>
      (await api.get(`/v1/jobs/${id}/why`)).json.items.map(({ code }: { code: string }) => code);
    expect(await codes(ahead.json.id)).toEqual(["NO_ENGINE", "QUEUED_NEXT"]);
    expect(await codes(behind.json.id)).toEqual(["NO_ENGINE", "QUEUED_BEHIND"]);
  });

  it("can have thousands of steps, and is shown with all of them", async () => {
    const keys = Array.from({ length: 3_000 }, (_, i) => `s${i}`);
    const workflow = await aWorkflow(api, "wide");
    const run = await aRun(api, workflow, keys);
    const { status, json } = await api.get(`/v1/runs/${run.id}`);
    expect([status, json.steps.map(({ key }: { key: string }) => key)]).toEqual([200, keys]);
  });

  it("says when nobody takes what was sent", async () => {
    const run = await aRun(api, await aWorkflow(api, "other"));
    const id = await anAttempt(api, run);
    await api.db.write(({ sql }) => sql.run(`UPDATE "RunStep" SET "status" = 'RUNNING' WHERE "key" = 'first'`));
    await api.db.write(({ sql }) => sql.run(`UPDATE "Attempt" SET "status" = 'DISPATCHING' WHERE "id" = ?`, id));
    const why = async () => (await api.get(`/v1/jobs/${run.jobId}/why`)).json.items[0];
    expect(await why()).toMatchObject({ code: "STEP_STARTING", message: expect.stringContaining("is being started") });
    api.now = new Date(api.now.getTime() + 60_000);
    expect(await why()).toMatchObject({
      code: "STEP_STARTING",
      message: expect.stringContaining("60 s ago"),
      action: expect.stringContaining("runner"),
    });
  });
});

describe("a run whose stored snapshot is damaged", () => {
  it.each(["{", "null", '{"steps":7}'])("is answered with all else that is known of it: %s", async (workflowSnap) => {
    const workflow = await aWorkflow(api, "damaged");
    const run = await aRun(api, workflow);
    await api.db.write(({ models }) =>
      models.workflowVersion.update({ where: { id: workflow.versionId }, data: { workflowSnap } }),
    );
    const answer = await api.get(`/v1/runs/${run.id}`);
    expect([
      answer.status,
      answer.json.steps.map(({ key, name }: { key: string; name: string }) => [key, name]),
    ]).toEqual([
      200,
      [
        ["first", "first"],
        ["second", "second"],
      ],
    ]);
    expect((await api.get(`/v1/jobs/${run.jobId}/why`)).status).toBe(200);
  });
});

describe("the list of jobs", () => {
  it("is newest first, whole and without repeats, page by page, while new jobs come", async () => {
    const made: string[] = [];
    for (let i = 0; i < 7; i++) made.unshift((await api.post("/v1/jobs", { workflow: "hello" })).json.id);
    const seen: string[] = [];
    for (let cursor: string | null = ""; cursor !== null; ) {
      const page: Answer["json"] = (await api.get(`/v1/jobs?limit=3${cursor ? `&cursor=${cursor}` : ""}`)).json;
      seen.push(...page.items.map(({ id }: { id: string }) => id));
      cursor = page.nextCursor;
      await api.post("/v1/jobs", { workflow: "hello" });
    }
    expect(seen).toEqual(made);
  });

  it("shows a job whose row was damaged, with what can be read, and the others with it (G12)", async () => {
    const workflow = await aWorkflow(api, "odd");
    await aJob(api, workflow, { inputJson: '{"a":' });
    await aJob(api, workflow, { inputJson: '{"a":1}' });
    const { status, json } = await api.get("/v1/jobs?workflow=odd");
    expect([status, json.items.map(({ params }: { params: object }) => params)]).toEqual([200, [{ a: 1 }, {}]]);
  });

  it("can be narrowed by status, workflow, project and label", async () => {
    await api.put("/v1/workflows/other", { steps: [{ key: "a", script: "x" }] });
    const plain = (await api.post("/v1/jobs", { workflow: "hello" })).json;
    const labelled = (await api.post("/v1/jobs", { workflow: "other", labels: { team: "e%l_", 'a"b': "x" } })).json;
    await api.post(`/v1/jobs/${plain.id}/cancel`);
    const ids = async (query: string) =>
      (await api.get(`/v1/jobs?${query}`)).json.items.map(({ id }: { id: string }) => id);
    expect(await ids("status=CANCELED")).toEqual([plain.id]);
    expect(await ids("status=QUEUED")).toEqual([labelled.id]);
    expect(await ids("workflow=other")).toEqual([labelled.id]);
    expect(await ids(`label=${encodeURIComponent("team=e%l_")}`)).toEqual([labelled.id]);
    expect(await ids("label=team")).toEqual([labelled.id]);
    expect(await ids(`label=${encodeURIComponent('a"b=x')}`)).toEqual([labelled.id]);
    expect(await ids("label=team%3DE%25L_")).toEqual([]);
    expect(await ids("project=default&limit=1")).toEqual([labelled.id]);
    expect((await api.get("/v1/jobs?workflow=ghost")).status).toBe(404);
  });

  it("shows a key for several projects what is theirs, newest first, and nothing else", async () => {
    const projects: string[] = [];
    for (const name of ["one", "two", "three"]) {
      projects.push((await api.post("/v1/projects", { name })).json.id);
      await api.put(`/v1/workflows/w?project=${name}`, { steps: [{ key: "a", script: "x" }] });
    }
    const made: string[] = [];
    for (const project of ["one", "two", "three", "two", "one"]) {
      const { id } = (await api.post("/v1/jobs", { workflow: "w", project })).json;
      if (project !== "three") made.unshift(id);
    }
    const key = await api.keyOf("viewer", projects.slice(0, 2));
    const first = (await api.get("/v1/jobs?limit=3", { key })).json;
    const rest = (await api.get(`/v1/jobs?limit=3&cursor=${first.nextCursor}`, { key })).json;
    expect([...first.items, ...rest.items].map(({ id }: { id: string }) => id)).toEqual(made);
    expect(rest.nextCursor).toBeNull();
    expect((await api.get("/v1/jobs", { key: await api.keyOf("viewer", []) })).json.items).toEqual([]);
    const cursor = (await api.get("/v1/workflows?limit=1")).json.nextCursor;
    expect((await api.get(`/v1/jobs?cursor=${cursor}`)).json.code).toBe("BAD_CURSOR");
  });
});
