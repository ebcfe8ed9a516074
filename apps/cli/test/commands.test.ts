import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { FakeApi, sendJson } from "./fake-api.js";
import { maia } from "./run-maia.js";

let api: FakeApi;

beforeEach(async () => {
  api = await FakeApi.start();
});
afterEach(async () => {
  await api[Symbol.asyncDispose]();
});

const connected = (env: Record<string, string> = {}) => api.options(env);
const at = "2026-01-01T00:00:00.000Z";
const aRun = {
  id: "run_1",
  jobId: "job_1",
  workflow: "report",
  version: 3,
  status: "SUCCEEDED",
  createdAt: at,
  startedAt: at,
  finishedAt: "2026-01-01T00:00:02.500Z",
  outputs: { rows: 3 },
  failure: null,
  steps: [{ key: "parse", status: "SUCCEEDED", attempts: [{ no: 1 }] }],
};
const aJob = {
  id: "job_1",
  workflow: "report",
  version: 3,
  status: "QUEUED",
  runId: null,
  createdAt: at,
  startedAt: null,
  finishedAt: null,
};

describe("maia run", () => {
  const bodyOf = (line: string) => JSON.parse(api.asked.find((asked) => asked.line.startsWith(line))?.body ?? "null");
  beforeEach(() => {
    api.on("POST /v1/jobs", aJob, 201);
  });

  it("prints the job's id and nothing else on stdout", async () => {
    const answer = await maia(
      ["run", "report", "--label", "team=a", "--version", "3", "--priority", "-2", "--environment", "prod"],
      connected(),
    );
    expect(answer).toMatchObject({
      code: 0,
      stdout: "job_1\n",
      stderr: expect.stringContaining("maia runs watch job_1"),
    });
    expect(bodyOf("POST /v1/jobs")).toEqual({
      workflow: "report",
      version: 3,
      priority: -2,
      environment: "prod",
      labels: { team: "a" },
    });
    expect(api.asked[0]?.headers["idempotency-key"]).toMatch(/^[0-9a-f-]{36}$/);
  });

  it("reads params from a file, stdin and flags, asking for the schema where it matters", async () => {
    const paramsSchema = { properties: { zip: { type: "string" } } };
    api.on("GET /v1/workflows/report", { latestVersion: 3 });
    api.on("GET /v1/workflows/report/versions/3", { workflowSnap: { inputSpec: { paramsSchema } } });
    const args = ["run", "report", "--params", "-", "-p", "zip=01234", "-p", "top=5", "--idempotency-key", "mine"];
    expect((await maia(args, { ...connected(), stdin: '{"top": 1, "deep": {"x": [1]}}' })).code).toBe(0);
    expect(bodyOf("POST /v1/jobs")).toEqual({ workflow: "report", params: { top: 5, deep: { x: [1] }, zip: "01234" } });
    expect(api.asked.at(-1)?.headers["idempotency-key"]).toBe("mine");
    expect(await maia(["run", "report", "--params", "-"], { ...connected(), stdin: "[1]" })).toMatchObject({ code: 6 });
  });

  it("sends only the files that the server does not know, and each content once", async () => {
    const known = Buffer.from("known");
    const fresh = Buffer.from("fresh");
    const [knownHash, freshHash] = [known, fresh].map((bytes) => createHash("sha256").update(bytes).digest("hex"));
    await Promise.all([
      writeFile(join(api.folder, "a.csv"), known),
      writeFile(join(api.folder, "b.csv"), fresh),
      writeFile(join(api.folder, "x=y.csv"), fresh),
    ]);
    api.on("GET /v1/projects/default/environments/default", { dataResidency: "maia" });
    api.on(`HEAD /v1/blobs/${knownHash}`, {}).on(`PUT /v1/blobs/${freshHash}`, {}, 201);
    const files = ["--file", "a.csv", "--file", "data=b.csv", "--file", "./x=y.csv"];
    expect(
      (
        await maia(
          ["run", "report", ...files, "--url-file", "https://x.example/a=b", "--url-file", "n=https://x.example/"],
          connected(),
        )
      ).code,
    ).toBe(0);
    expect(bodyOf("POST /v1/jobs")).toEqual({
      workflow: "report",
      files: [
        { name: "a.csv", sha256: knownHash },
        { name: "data", sha256: freshHash },
        { name: "x=y.csv", sha256: freshHash },
      ],
      urlFiles: [{ url: "https://x.example/a=b" }, { url: "https://x.example/", name: "n" }],
    });
    const puts = api.asked.filter(({ line }) => line.startsWith("PUT"));
    expect(puts.map(({ body, headers }) => [body, headers["content-length"]])).toEqual([["fresh", "5"]]);
    expect(await maia(["run", "report", "--file", "nowhere.csv"], connected())).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("there is no file nowhere.csv"),
    });
  });
});

describe("lists", () => {
  it("are whole in a pipe: no heading, no colour, no cutting", async () => {
    const page = { ...aRun, id: "run_2", workflow: "a-workflow-with-a-name-that-is-longer-than-most" };
    api.on("GET /v1/runs", (request, response) => {
      const isSecond = request.url?.includes("cursor=c1");
      sendJson(response, 200, { items: [isSecond ? page : aRun], nextCursor: isSecond ? null : "c1" });
    });
    const { code, stdout } = await maia(["runs", "list", "--status", "succeeded"], connected());
    expect(code).toBe(0);
    expect(stdout.split("\n").map((line) => line.split(/ {2,}/).slice(0, 3))).toEqual([
      ["run_1", "✓ SUCCEEDED", "report v3"],
      ["run_2", "✓ SUCCEEDED", "a-workflow-with-a-name-that-is-longer-than-most v3"],
      [""],
    ]);
    expect(api.asked[0]?.line).toContain("status=SUCCEEDED");
    expect(stdout).not.toContain("\u001b");
    expect(JSON.parse((await maia(["--json", "runs", "list"], connected())).stdout)).toHaveLength(2);
  });

  it("of workflows shows the last run, the rate of success, and what goes on", async () => {
    const recent = { succeeded: 18, failed: 1, canceled: 1, successRate: 0.947 };
    const lastRun = { id: "run_1", jobId: "job_1", status: "FAILED", createdAt: at, finishedAt: at };
    const about = { id: "wf_1", latestVersion: 3, description: "Weekly", updatedAt: at };
    const busy = { ...about, name: "busy", lastRun, queued: 4, running: 1, recent };
    const idle = { ...about, name: "idle", lastRun: null, queued: 0, running: 0, recent: { successRate: null } };
    api.on("GET /v1/workflows", { items: [busy, idle], nextCursor: null });
    const { stdout } = await maia(
      ["workflows", "list", "--query", "e", "--sort", "name", "--order", "asc"],
      connected(),
    );
    expect(stdout).toMatch(/busy +v3 .*✕ .* 95 % +1 running, 4 waiting +Weekly/);
    expect(stdout).toMatch(/idle +v3 .*ago +Weekly/);
    expect(api.asked[0]!.line).toMatch(/\?q=e&sort=name&order=asc&/);
  });

  it("of runs is narrowed to a time by its length or by its moments", async () => {
    api.on("GET /v1/runs", { items: [], nextCursor: null });
    expect((await maia(["runs", "list", "--since", "2h", "--until", at, "--order", "asc"], connected())).code).toBe(0);
    const asked = new URL(api.asked[0]!.line.split(" ")[1]!, api.url).searchParams;
    const ago = Date.now() - Date.parse(asked.get("createdAfter")!);
    expect([asked.get("createdBefore"), asked.get("order"), Math.round(ago / 600_000)]).toEqual([at, "asc", 12]);
    expect(await maia(["runs", "list", "--since", "soon"], connected())).toMatchObject({ code: 2 });
  });

  it("prints log lines with their step, or alone, and stops at the end of the run", async () => {
    api.on("GET /v1/runs/run_1", aRun);
    const items = ["one", "two"].map((line, seq) => ({
      at,
      stepKey: "parse",
      attemptNo: 1,
      seq,
      stream: "stdout",
      line,
    }));
    let asked = 0;
    api.on("GET /v1/runs/run_1/logs", (_, response) =>
      sendJson(
        response,
        200,
        [
          { items: [items[0]], nextCursor: "c" },
          { items: [], nextCursor: "c" },
          { items: [items[1]], nextCursor: null },
        ][asked++ % 3]!,
      ),
    );
    expect(await maia(["runs", "logs", "run_1", "--follow"], connected())).toMatchObject({
      code: 0,
      stdout: "[parse] one\n[parse] two\n",
    });
    expect(await maia(["runs", "logs", "run_1", "--step", "parse"], connected())).toMatchObject({
      code: 0,
      stdout: "one\n",
    });
    for (const [flags, words] of [
      [["--step", "pares"], /has no step pares; it has parse/],
      [["--step", "parse", "--attempt", "9"], /has no attempt 9; it has 1/],
    ] as const)
      expect(await maia(["runs", "logs", "run_1", ...flags], connected())).toMatchObject({
        code: 2,
        stderr: expect.stringMatching(words),
      });
  });
});

describe("maia artifacts get", () => {
  const content = "# Report\n";
  const sha256 = createHash("sha256").update(content).digest("hex");
  const anArtifact = (name: string, more: object = {}) => ({
    id: `art_${name.length}`,
    runId: "run_1",
    stepKey: "write",
    attemptNo: 2,
    name,
    mime: "text/markdown",
    sizeBytes: 9,
    sha256,
    system: false,
    createdAt: at,
    ...more,
  });
  const serve = (...items: object[]) => {
    api.on("GET /v1/runs/run_1/artifacts", { items, nextCursor: null });
    for (const { id } of items as { id: string }[])
      api.on(`GET /v1/artifacts/${id}/content`, (_, response) => response.end(content));
  };

  it("writes what the last attempts left, under its names, and prints the paths", async () => {
    serve(
      anArtifact("docs/report.md"),
      anArtifact("input.json", { system: true }),
      anArtifact("stale.md", { attemptNo: 1 }),
    );
    expect(await maia(["artifacts", "get", "run_1", "--to", "out"], connected())).toMatchObject({
      code: 0,
      stdout: "out/docs/report.md\n",
    });
    expect(await readFile(join(api.folder, "out/docs/report.md"), "utf8")).toBe(content);
    expect(await maia(["artifacts", "get", "run_1", "docs/report.md", "--to", "-"], connected())).toMatchObject({
      code: 0,
      stdout: content,
    });
  });

  it("refuses names that lead out of the folder, and bytes that are not those recorded", async () => {
    serve(anArtifact("../evil.sh"));
    expect(await maia(["artifacts", "get", "run_1", "--to", "out"], connected())).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("would lie outside"),
    });
    serve(anArtifact("report.md", { sha256: "0".repeat(64) }));
    expect(await maia(["artifacts", "get", "run_1", "--to", "out"], connected())).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("arrived damaged"),
    });
    await expect(readFile(join(api.folder, "out/report.md"))).rejects.toThrow("ENOENT");
  });

  it("says where it cannot write, and does not try for ever", async () => {
    serve(anArtifact("report.md"));
    for (const place of ["/proc/nowhere/deep", "/dev/null/deep"])
      expect(await maia(["artifacts", "get", "run_1", "--to", place], connected())).toMatchObject({
        code: 2,
        stderr: expect.stringMatching(/cannot be made/),
      });
  });

  it("says what there is when a name is not", async () => {
    serve(anArtifact("report.md"));
    expect(await maia(["artifacts", "get", "run_1", "chart.svg"], connected())).toMatchObject({
      code: 3,
      stderr: expect.stringMatching(/no artifact chart\.svg\nIt has report\.md/),
    });
  });
});
