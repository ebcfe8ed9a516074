import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { FakeApi, sendJson, sendProblem } from "./fake-api.js";
import { maia } from "./run-maia.js";

const CSV = "city,top\nRome,1\n";
const sha256 = createHash("sha256").update(CSV).digest("hex");
const counts = { waiting: 0, queued: 0, running: 0, succeeded: 2, failed: 1, canceled: 0 };
const aBatch = {
  id: "bat_1",
  workflow: "sheet",
  version: 2,
  status: "FAILED",
  itemCount: 3,
  counts,
  failure: { code: "ROWS_FAILED", message: "1 of 3 rows failed" },
  createdAt: "2026-01-01T00:00:00.000Z",
  finishedAt: "2026-01-01T00:00:02.500Z",
};

let api: FakeApi;
let folder: string;
beforeEach(async () => {
  api = await FakeApi.start();
  folder = await mkdtemp(join(tmpdir(), "maia-cli-"));
  await writeFile(join(folder, "rows.csv"), CSV);
  api.on(`PUT /v1/blobs/${sha256}`, {}, 201);
});
afterEach(async () => {
  await api[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 });
});

const run = (...args: string[]) => maia(args, { env: { MAIA_URL: api.url, MAIA_API_KEY: "k" }, cwd: folder });
const bodyOf = (line: string) => JSON.parse(api.asked.find((asked) => asked.line === line)?.body ?? "null");

describe("maia batches run", () => {
  it("sends the file once and asks for a batch of it", async () => {
    api.on("POST /v1/batches", { ...aBatch, status: "RUNNING" }, 201);
    const flags = ["--concurrency", "4", "--max-failures", "2", "--label", "team=a", "--version", "2"];
    const answer = await run("batches", "run", "sheet", "--items", "rows.csv", ...flags);
    expect(answer).toMatchObject({ code: 0, stdout: "bat_1\n" });
    expect(bodyOf("POST /v1/batches")).toEqual({
      workflow: "sheet",
      itemsFile: { sha256, format: "csv" },
      concurrency: 4,
      maxFailures: 2,
      labels: { team: "a" },
      version: 2,
    });
    const asked = api.asked.find(({ line }) => line === "POST /v1/batches");
    expect(asked?.headers["idempotency-key"]).toMatch(/^[0-9a-f-]{36}$/);
  });

  it("lists what a dry run finds by row, and starts nothing", async () => {
    const errors = [
      { pointer: "/items/0/params/top", message: "must be at least 5, got 1", row: 2 },
      { pointer: "/itemsFile", message: "has a quote that is never closed", row: 9 },
    ];
    api.on("POST /v1/batches", (_, response) => sendProblem(response, 422, "INVALID", "1 row is wrong", { errors }));
    const answer = await run("batch", "run", "sheet", "--items", "rows.csv", "--dry-run");
    expect(bodyOf("POST /v1/batches")).toMatchObject({ dryRun: true });
    expect(answer.code).toBe(6);
    expect(answer.stderr).toContain("  row 2 /params/top: must be at least 5, got 1\n");
    expect(answer.stderr).toContain("  row 9: has a quote that is never closed\n");
    api.on("POST /v1/batches", { dryRun: "OK", itemCount: 1, columns: ["city", "top"] });
    const good = await run("batch", "run", "sheet", "--items", "rows.csv", "--dry-run");
    expect(good).toMatchObject({ code: 0, stdout: "1 row may run; nothing was started\n" });
  });

  it("follows a batch to its end, which is its exit code", async () => {
    api.on("POST /v1/batches", { ...aBatch, status: "RUNNING" }, 201);
    let looks = 0;
    api.on("GET /v1/batches/bat_1", (_, response) => {
      const status = looks++ === 0 ? "RUNNING" : "FAILED";
      sendJson(response, 200, { ...aBatch, status });
    });
    const answer = await run("batches", "run", "sheet", "--items", "rows.csv", "--follow");
    expect(answer.code).toBe(10);
    expect(answer.stderr).toContain("RUNNING  3/3, 1 failed");
    expect(answer.stdout).toContain("ROWS_FAILED: 1 of 3 rows failed");
    expect(answer.stdout).toContain("3 rows: 2 succeeded, 1 failed");
  });

  it("says what is wrong with the command", async () => {
    expect((await run("batches", "run", "sheet")).code).toBe(2);
    const missing = await run("batches", "run", "sheet", "--items", "no.csv");
    expect(missing).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("no.csv: there is no file"),
    });
    expect((await run("batches", "run", "sheet", "--items", "rows.csv", "--concurrency", "many")).code).toBe(2);
  });
});

describe("maia batches", () => {
  it("lists and shows them", async () => {
    api.on("GET /v1/batches", { items: [aBatch], nextCursor: null });
    api.on("GET /v1/batches/bat_1", aBatch);
    const list = await run("batches", "list", "--status", "failed");
    expect(list.stdout).toMatch(/^bat_1 {2}✕ FAILED {2}sheet v2 {2}3\/3, 1 failed/);
    expect(api.asked.at(-1)?.line).toContain("status=FAILED");
    expect((await run("batches", "show", "bat_1")).stdout).toContain("✕ FAILED  sheet v2  bat_1  2.5s");
    expect(JSON.parse((await run("batches", "show", "bat_1", "--json")).stdout)).toEqual(aBatch);
  });

  it("writes the results where they are wanted", async () => {
    api.on("GET /v1/batches/bat_1/results", (_, response) => {
      response.writeHead(200, { "content-type": "text/csv" }).end(CSV);
    });
    expect((await run("batches", "results", "bat_1")).stdout).toBe(CSV);
    expect((await run("batches", "results", "bat_1", "--to", "out.csv", "--keep-formulas")).stdout).toBe("out.csv\n");
    expect(await readFile(join(folder, "out.csv"), "utf8")).toBe(CSV);
    expect(api.asked.at(-1)?.line).toContain("formulas=keep");
    expect((await run("batches", "results", "bat_2")).code).toBe(3);
  });

  it.each([
    ["pause", "PAUSED", "bat_1 is paused\n"],
    ["resume", "RUNNING", "bat_1 goes on\n"],
    ["cancel", "RUNNING", "bat_1 is being canceled\n"],
    ["cancel", "CANCELED", "bat_1 is canceled\n"],
  ])("%ss one, which is %s then", async (move, status, said) => {
    api.on(`POST /v1/batches/bat_1/${move}`, { ...aBatch, status }, 202);
    expect(await run("batches", move, "bat_1")).toMatchObject({ code: 0, stdout: said });
  });

  it("changes how one goes on", async () => {
    api.on("PATCH /v1/batches/bat_1", { ...aBatch, status: "RUNNING", concurrency: 4 });
    const answer = await run("batches", "set", "bat_1", "--concurrency", "4", "--max-failures", "none");
    expect(answer).toMatchObject({ code: 0, stdout: "bat_1 goes on with at most 4 at once\n" });
    expect(bodyOf("PATCH /v1/batches/bat_1")).toEqual({ concurrency: 4, maxFailures: null });
    expect((await run("batches", "set", "bat_1")).code).toBe(2);
  });

  it("runs the failed rows again, or all that did not succeed", async () => {
    api.on("POST /v1/batches/bat_1/retry", { ...aBatch, id: "bat_2", status: "RUNNING" }, 201);
    expect((await run("batches", "retry", "bat_1")).stdout).toBe("bat_2\n");
    expect(bodyOf("POST /v1/batches/bat_1/retry")).toEqual({ rows: "failed" });
    await run("batches", "retry", "bat_1", "--unsuccessful", "--version", "3");
    expect(JSON.parse(api.asked.at(-1)!.body)).toEqual({ rows: "unsuccessful", version: 3 });
  });
});
