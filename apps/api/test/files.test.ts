import { writeFile } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { deleteJob } from "@maia/db";
import { newId, sha256Hex } from "@maia/domain";
import { anAttempt, aRun, aWorkflow } from "./rows.js";
import { openTestApi, type TestApi } from "./support.js";

let api: TestApi;

beforeEach(async () => {
  api = await openTestApi();
});

afterEach(() => api[Symbol.asyncDispose]());

async function anArtifact(
  bytes: string | Buffer,
  name = "report.txt",
  mime = "text/plain",
): Promise<{ id: string; sha256: string }> {
  const run = await aRun(api, await aWorkflow(api));
  const attemptId = await anAttempt(api, run);
  const { sha256, sizeBytes } = await api.blobs.put(Buffer.from(bytes));
  const id = newId("artifact", api.now);
  const about = {
    runId: run.id,
    attemptId,
    stepKey: "first",
    attemptNo: 1,
    name,
    mime,
    system: false,
    createdAt: api.now,
  };
  await api.db.write(({ models }) =>
    models.artifact.create({ data: { ...about, id, sha256, sizeBytes: BigInt(sizeBytes) } }).then(() => {}),
  );
  return { id, sha256 };
}

describe("the content of an artifact", () => {
  it("is data to be saved, whatever it calls itself (B074)", async () => {
    const { id, sha256 } = await anArtifact("<script>alert(1)</script>", "sub/“ü\u202e”.html", "text/html");
    const answer = await api.get(`/v1/artifacts/${id}/content`);
    expect([answer.status, answer.text]).toEqual([200, "<script>alert(1)</script>"]);
    const header = (name: string) => answer.headers.get(name);
    expect(header("content-disposition")).toMatch(/^attachment; filename="/);
    expect(header("content-disposition")).toContain("filename*=UTF-8''");
    expect(header("content-disposition")).not.toContain("sub/");
    expect([header("x-content-type-options"), header("content-security-policy")]).toEqual([
      "nosniff",
      "sandbox; default-src 'none'",
    ]);
    expect([header("etag"), header("content-type"), header("accept-ranges")]).toEqual([
      `"${sha256}"`,
      "text/html",
      "bytes",
    ]);
  });

  it.each([
    ["bytes=0-", 206, "0123456789", "bytes 0-9/10"],
    ["bytes=2-4", 206, "234", "bytes 2-4/10"],
    ["bytes=-3", 206, "789", "bytes 7-9/10"],
    ["bytes=8-100", 206, "89", "bytes 8-9/10"],
    ["bytes=10-", 416, null, "bytes */10"],
    ["bytes=-0", 416, null, "bytes */10"],
    ["bytes=5-2", 416, null, "bytes */10"],
    ["bytes=0-1,3-4", 200, "0123456789", null],
    [`bytes=${Array.from({ length: 100 }, (_, i) => `${i}-${i}`)}`, 200, "0123456789", null],
    ["lines=1-2", 200, "0123456789", null],
    ["bytes=a-b", 200, "0123456789", null],
  ])("is served for Range %s with %i (B091)", async (range, status, text, contentRange) => {
    const { id } = await anArtifact("0123456789");
    const answer = await api.get(`/v1/artifacts/${id}/content`, { headers: { Range: range } });
    expect([answer.status, answer.headers.get("content-range")]).toEqual([status, contentRange]);
    if (text === null) expect(answer.json.code).toBe("RANGE_NOT_SATISFIABLE");
    else expect(answer.text).toBe(text);
  });

  it("is not sent again to who has it, and a range of other content is not mixed in", async () => {
    const { id, sha256 } = await anArtifact("0123456789");
    const path = `/v1/artifacts/${id}/content`;
    const known = await api.get(path, { headers: { "If-None-Match": `"${sha256}"` } });
    expect([known.status, known.text, known.headers.get("etag")]).toEqual([304, "", `"${sha256}"`]);
    expect((await api.get(path, { headers: { Range: "bytes=1-2", "If-Range": `"${sha256}"` } })).text).toBe("12");
    expect((await api.get(path, { headers: { Range: "bytes=1-2", "If-Range": '"old"' } })).text).toBe("0123456789");
    const head = await api.request("HEAD", path);
    expect([head.status, head.headers.get("content-length"), head.text]).toEqual([200, "10", ""]);
  });

  it("is refused where it is no longer what was recorded, before and after it was served (B092, G19)", async () => {
    const { id, sha256 } = await anArtifact("0123456789");
    const path = `/v1/artifacts/${id}/content`;
    const damaged = async (bytes: string) => {
      await writeFile(api.blobs.path(sha256), bytes);
      const answer = await api.get(path, { headers: { Range: "bytes=0-1" } });
      return [answer.status, answer.json.code, answer.headers.get("etag")];
    };
    expect(await damaged("012345678X")).toEqual([500, "ARTIFACT_CORRUPT", null]);
    await writeFile(api.blobs.path(sha256), "0123456789");
    expect((await api.get(path)).text).toBe("0123456789");
    expect(await damaged("0123456X89")).toEqual([500, "ARTIFACT_CORRUPT", null]);
    expect(await damaged("short")).toEqual([500, "ARTIFACT_CORRUPT", null]);
    await api.blobs.remove(sha256);
    expect((await api.get(path)).json.code).toBe("ARTIFACT_CORRUPT");
  });

  it("is served in full however large, and breaks off where a large one is damaged", async () => {
    const large = Buffer.alloc(65 * 1_024 * 1_024, "0123456789abcdef");
    const { id, sha256 } = await anArtifact(large);
    const whole = await fetch(`${api.url}/v1/artifacts/${id}/content`, {
      headers: { Authorization: `Bearer ${api.adminKey}` },
    });
    expect(sha256Hex(new Uint8Array(await whole.arrayBuffer()))).toBe(sha256);
    large[5] = 0;
    await writeFile(api.blobs.path(sha256), large);
    const broken = await fetch(`${api.url}/v1/artifacts/${id}/content`, {
      headers: { Authorization: `Bearer ${api.adminKey}` },
    });
    await expect(broken.arrayBuffer()).rejects.toThrow();
  });

  it("is served where it is empty", async () => {
    const { id } = await anArtifact("");
    const answer = await api.get(`/v1/artifacts/${id}/content`);
    expect([answer.status, answer.text, answer.headers.get("content-length")]).toEqual([200, "", "0"]);
  });

  it("is nobody else's (B092)", async () => {
    const { id } = await anArtifact("mine");
    const stranger = await api.keyOf("admin", [(await api.post("/v1/projects", { name: "elsewhere" })).json.id]);
    for (const path of [`/v1/artifacts/${id}`, `/v1/artifacts/${id}/content`]) {
      const theirs = await api.get(path, { key: stranger });
      const missing = await api.get(path.replace(id, "art_ghost"), { key: stranger });
      expect([theirs.status, theirs.json.detail]).toEqual([404, missing.json.detail]);
    }
  });
});

describe("the content of an input file", () => {
  const page = "<script>alert(1)</script>";
  it.each([
    ["a page", "text/html", "page.html", page],
    ["a picture that runs scripts", "image/svg+xml", "x.svg", `<svg xmlns="http://www.w3.org/2000/svg">${page}</svg>`],
    ["a picture that is a page, too", "image/gif", "x.gif", `GIF89a/*${page}*/=1;`],
    ["what says that it is something else", "text/plain; charset=utf-7", "x.txt", page],
    ["a type that is none", 'text/html"; x\r\nx: y', "x", page],
  ])("is data to be saved: %s (B074)", async (_what, type, name, text) => {
    await api.put("/v1/workflows/hello", { steps: [{ key: "a", script: "x" }] });
    const form = new FormData();
    form.set("request", JSON.stringify({ workflow: "hello" }));
    form.set("files", new File([text], name, { type }), name);
    const job = await api.request("POST", "/v1/jobs", { body: form });
    const [file] = await api.db.models.inputFile.findMany({ where: { jobRunId: job.json.id } });
    const answer = await api.get(`/v1/files/${file!.id}/content`);
    const header = (name: string) => answer.headers.get(name);
    expect([answer.status, answer.text]).toEqual([200, text]);
    expect(header("content-disposition")).toMatch(/^attachment; filename=/);
    expect([header("x-content-type-options"), header("content-security-policy"), header("x")]).toEqual([
      "nosniff",
      "sandbox; default-src 'none'",
      null,
    ]);
  });

  it("is gone with its job, and so are the artifacts of its run (B092)", async () => {
    const { id } = await anArtifact("kept as long as the run");
    const { runId } = (await api.db.models.artifact.findUnique({ where: { id } }))!;
    const run = (await api.db.models.run.findUnique({ where: { id: runId } }))!;
    expect((await api.get(`/v1/artifacts/${id}/content`)).status).toBe(200);
    await deleteJob(api.db, { id: run.jobRunId, runId } as never);
    for (const path of [`/v1/artifacts/${id}`, `/v1/artifacts/${id}/content`, `/v1/runs/${runId}/artifacts`])
      expect((await api.get(path)).json).toMatchObject({ status: 404, code: "NOT_FOUND" });
  });
});

describe("a blob", () => {
  const bytes = "some content";
  const hash = sha256Hex(bytes);
  const put = (options: { body?: string; key?: string; query?: string } = {}) =>
    api.request("PUT", `/v1/blobs/${hash}${options.query ?? ""}`, {
      body: options.body ?? bytes,
      ...(options.key ? { key: options.key } : {}),
    });
  const head = (key = api.adminKey) => api.request("HEAD", `/v1/blobs/${hash}`, { key });

  it("is known once it was uploaded, in the projects that its uploader may use", async () => {
    const { id } = (await api.post("/v1/projects", { name: "elsewhere" })).json;
    const stranger = await api.keyOf("operator", [id]);
    expect((await head()).status).toBe(404);
    expect([(await put()).status, (await put()).status, (await head()).status]).toEqual([201, 200, 200]);
    expect((await head(stranger)).status).toBe(404);
    expect((await put({ key: stranger })).status).toBe(404); // the default project is not theirs
    expect((await put({ key: stranger, query: "?project=elsewhere" })).status).toBe(201);
    expect((await head(stranger)).status).toBe(200);
    expect((await api.get(`/v1/blobs/${hash}`)).status).toBe(405);
  });

  it("is refused with other bytes, too many of them, or a name that is no hash", async () => {
    const wrong = await put({ body: "something else" });
    expect([wrong.status, wrong.json.code]).toEqual([422, "HASH_MISMATCH"]);
    expect((await head()).status).toBe(404);
    expect((await api.request("PUT", "/v1/blobs/..%2f..%2fetc", { body: "x" })).status).toBe(404);
    expect((await api.request("PUT", `/v1/blobs/${hash.toUpperCase()}`, { body: bytes })).status).toBe(404);
    const declared = await api.raw(
      `PUT /v1/blobs/${hash} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${api.adminKey}\r\nContent-Length: 1000000000\r\n\r\n`,
      /\}$/,
    );
    expect(declared).toMatch(/^HTTP\/1\.1 413 /);
  });

  it("stays young while somebody asks for it", async () => {
    await put();
    api.now = new Date(api.now.getTime() + 60_000);
    await head();
    const { usedAt } = (await api.db.models.inputBlob.findUnique({ where: { sha256: hash } }))!;
    expect(usedAt).toEqual(api.now);
  });

  it("serves the input file that refers to it", async () => {
    await put();
    await api.put("/v1/workflows/hello", { steps: [{ key: "a", script: "x" }] });
    const job = await api.post("/v1/jobs", { workflow: "hello", files: [{ name: "in.txt", sha256: hash }] });
    const [file] = await api.db.models.inputFile.findMany({ where: { jobRunId: job.json.id } });
    const answer = await api.get(`/v1/files/${file!.id}/content`, { headers: { Range: "bytes=5-" } });
    expect([answer.status, answer.text]).toEqual([206, "content"]);
  });
});
