import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { createEnvironment } from "@maia/db";
import { aBlob, anyone, aPlace, ask, count, NOW, type Place, publish, refusal } from "./support.js";

let place: Place;
beforeEach(async () => {
  place = await aPlace();
});
afterEach(async () => {
  await place[Symbol.asyncDispose]();
});

const paramsSchema = {
  type: "object",
  properties: { top: { type: "integer", minimum: 1, default: 10 }, who: { type: "string" } },
  required: ["who"],
};
const [one, two] = ["1".repeat(64), "2".repeat(64)];

function jobOf(id: string) {
  return place.db.models.jobRun.findUniqueOrThrow({
    where: { id },
    include: { version: true, environment: true, runner: true },
  });
}

describe("a job", () => {
  it("is stored queued, with its event, and the engine is rung", async () => {
    await publish(place, "hello");
    const rung = place.db.bell("engine").next();
    const { jobId, replayed } = await ask(place, {
      workflow: "hello",
      params: { a: [1] },
      priority: 7,
      labels: { team: "x" },
    });
    await rung;
    expect(replayed).toBe(false);
    expect(await jobOf(jobId)).toMatchObject({
      projectId: place.projectId,
      status: "QUEUED",
      inputJson: '{"a":[1]}',
      priority: 7,
      labels: '{"team":"x"}',
      trigger: "manual",
      requestedBy: "key_a",
      createdAt: NOW,
      runner: { name: "hosted" },
      version: { version: 1 },
      environment: { name: "default" },
    });
    const events = await place.db.models.logEvent.findMany({ where: { kind: "job_status" } });
    expect(events.map(({ data }) => JSON.parse(data))).toEqual([
      { jobId, status: "QUEUED", runId: null, at: NOW.toISOString() },
    ]);
  });

  it("has the version that is the latest when it is made, or the one that it names (G5)", async () => {
    await publish(place, "hello");
    const { jobId: first } = await ask(place, { workflow: "hello" });
    await publish(place, "hello", { description: "changed" });
    const { jobId: second } = await ask(place, { workflow: "hello" });
    const { jobId: pinned } = await ask(place, { workflow: "hello", version: 1 });
    const versions = await Promise.all([first, second, pinned].map(async (id) => (await jobOf(id)).version.version));
    expect(versions).toEqual([1, 2, 1]);
  });

  it("names its workflow, project, environment and runner by id or by name", async () => {
    const { workflowId } = await publish(place, "hello");
    const staging = { projectId: place.projectId, name: "staging", variables: {}, defaultRunnerId: null };
    const environment = await place.db.write((tx) => createEnvironment(tx, staging, NOW));
    const runner = await place.db.models.runner.findFirstOrThrow();
    for (const request of [
      { workflow: workflowId, environment: environment.id, runner: runner.id },
      { workflow: "hello", project: place.projectId, environment: "staging", runner: "hosted" },
      { workflow: "hello", project: "default", environment: environment.id, runner: "hosted" },
    ]) {
      const { jobId } = await ask(place, request);
      expect(await jobOf(jobId)).toMatchObject({ workflowId, environmentId: environment.id, runnerId: runner.id });
    }
  });

  it("is refused where something that it names is missing (B055)", async () => {
    await publish(place, "hello");
    await publish(place, "draft", {}, { publish: false });
    for (const request of [
      { workflow: "nobody" },
      { workflow: "wf_00000000000000000000000000" },
      { workflow: "hello", project: "nowhere" },
      { workflow: "hello", project: "other" },
      { workflow: "hello", version: 2 },
      { workflow: "draft", version: 1 },
      { workflow: "hello", environment: "production" },
      { workflow: "hello", runner: "far-away" },
    ]) {
      expect(await refusal(ask(place, request))).toEqual(["NOT_FOUND"]);
    }
    expect(await refusal(ask(place, { workflow: "draft" }))).toEqual(["NO_VERSION"]);
    expect(await count(place, "JobRun")).toBe(0);
  });

  it("of another project's workflow is refused as if there were none (B055)", async () => {
    const { workflowId } = await publish(place, "hello");
    const stranger = { principal: "key_b", projects: [place.otherId] };
    for (const workflow of ["hello", workflowId]) {
      expect(await refusal(ask(place, { workflow }, { caller: stranger }))).toEqual(["NOT_FOUND"]);
    }
    expect(
      await ask(place, { workflow: "hello" }, { caller: { principal: "key_c", projects: [place.projectId] } }),
    ).toBeDefined();
  });

  it("of a deleted workflow is refused (B055)", async () => {
    const { workflowId } = await publish(place, "hello");
    await place.db.write((tx) => tx.models.workflow.update({ where: { id: workflowId }, data: { deletedAt: NOW } }));
    expect(await refusal(ask(place, { workflow: "hello" }))).toEqual(["NOT_FOUND"]);
    expect(await refusal(ask(place, { workflow: workflowId }))).toEqual(["NOT_FOUND"]);
  });

  it("keeps where it came from", async () => {
    await publish(place, "hello");
    const origin = { trigger: "rerun" as const, originRunId: "run_1", rerun: '{"from":"say"}' };
    const { jobId } = await ask(place, { workflow: "hello" }, { origin });
    expect(await jobOf(jobId)).toMatchObject(origin);
  });
});

describe("the params of a job", () => {
  it("are stored with the schema's defaults", async () => {
    await publish(place, "spec", { inputSpec: { paramsSchema } });
    const { jobId } = await ask(place, { workflow: "spec", params: { who: "ada" } });
    expect(JSON.parse((await jobOf(jobId)).inputJson)).toEqual({ who: "ada", top: 10 });
  });

  it("are refused with a pointer for each fault", async () => {
    await publish(place, "spec", { inputSpec: { paramsSchema } });
    expect(await refusal(ask(place, { workflow: "spec", params: { top: "abc" } }))).toEqual([
      "INVALID",
      "/params/who",
      "/params/top",
    ]);
  });

  it("never hold what Maia fills in, with a schema or without", async () => {
    await publish(place, "hello");
    await publish(place, "spec", { inputSpec: { paramsSchema } });
    for (const workflow of ["hello", "spec"]) {
      const params = { who: "ada", files: [], urlFiles: [], upstream: {} };
      expect(await refusal(ask(place, { workflow, params }))).toEqual([
        "RESERVED_KEY",
        "/params/files",
        "/params/upstream",
        "/params/urlFiles",
      ]);
    }
  });

  it("against a hostile pattern are answered in time, and others are not held up (B041)", async () => {
    const hostile = { type: "object", properties: { p: { type: "string", pattern: "^(a|a)*$" } } };
    await publish(place, "hostile", { inputSpec: { paramsSchema: hostile } });
    await publish(place, "spec", { inputSpec: { paramsSchema } });
    const params = { p: `${"a".repeat(40)}!` };
    const answers = await Promise.all([
      refusal(ask(place, { workflow: "hostile", params })),
      ask(place, { workflow: "spec", params: { who: "ada" } }),
    ]);
    expect(answers[0]).toEqual(["INVALID", "/params/p"]);
  });
});

describe("the files of a job", () => {
  it("are found by their hash where the caller may know them, and become young again", async () => {
    await publish(place, "hello");
    await aBlob(place, place.otherId, one);
    const later = new Date(NOW.getTime() + 60_000);
    const files = [
      { name: "a.csv", sha256: one },
      { name: "a.csv", sha256: one },
    ];
    const { jobId } = await ask(place, { workflow: "hello", files }, { now: later });
    const stored = await place.db.models.inputFile.findMany({
      where: { jobRunId: jobId },
      orderBy: { position: "asc" },
    });
    expect(stored).toMatchObject([
      { name: "a.csv", source: "upload", status: "READY", sha256: one, path: "inputs/0-a.csv", sizeBytes: 7n },
      { name: "a.csv", path: "inputs/1-a.csv" },
    ]);
    expect(await place.db.models.inputBlob.findUniqueOrThrow({ where: { sha256: one } })).toMatchObject({
      usedAt: later,
    });
    expect(await place.db.models.blobAccess.count({ where: { sha256: one, projectId: place.projectId } })).toBe(1);
  });

  it("that nobody uploaded, or only to projects of others, are refused", async () => {
    await publish(place, "hello");
    await aBlob(place, place.otherId, one);
    await aBlob(place, place.projectId, two);
    const files = [one, two, "3".repeat(64)].map((sha256) => ({ name: "a", sha256 }));
    const caller = { principal: "key_b", projects: [place.projectId] };
    expect(await refusal(ask(place, { workflow: "hello", files }, { caller }))).toEqual([
      "BLOB_UNKNOWN",
      "/files/0/sha256",
      "/files/2/sha256",
    ]);
  });

  it("that are collected at the last moment leave no job behind (G18)", async () => {
    await publish(place, "hello");
    await aBlob(place, place.projectId, one);
    const files = [{ name: "a", sha256: one }];
    const [gone, answer] = await Promise.all([
      place.db.write((tx) => tx.sql.run(`DELETE FROM "InputBlob" WHERE "sha256" = ?`, one)),
      refusal(ask(place, { workflow: "hello", files })),
    ]);
    expect(gone).toBe(1);
    expect(answer).toEqual(["BLOB_UNKNOWN", "/files/0/sha256"]);
    expect([await count(place, "JobRun"), await count(place, "LogEvent")]).toEqual([0, 0]);
  });

  it("that came with the request are stored with it", async () => {
    await publish(place, "hello");
    const uploads = [{ name: "ü.csv", sha256: two, sizeBytes: 3, mime: "text/csv" }];
    const { jobId } = await ask(place, { workflow: "hello" }, { uploads });
    expect(await place.db.models.inputFile.findFirstOrThrow({ where: { jobRunId: jobId } })).toMatchObject({
      name: "ü.csv",
      mime: "text/csv",
      sizeBytes: 3n,
    });
  });

  it("are fetched later where they are named by URL", async () => {
    await publish(place, "hello");
    await aBlob(place, place.projectId, one);
    const request = {
      workflow: "hello",
      files: [{ name: "a", sha256: one }],
      urlFiles: [{ url: "https://example.com/x.csv" }],
    };
    const { jobId } = await ask(place, request);
    const [, fetched] = await place.db.models.inputFile.findMany({
      where: { jobRunId: jobId },
      orderBy: { position: "asc" },
    });
    expect(fetched).toMatchObject({
      name: "x.csv",
      source: "url",
      status: "FETCHING",
      url: "https://example.com/x.csv",
      position: 1,
      sha256: null,
    });
  });

  it("keep the workflow's rules, by the type that their bytes have and their names refine", async () => {
    const filesInput = {
      uploadFiles: { required: true, maxItems: 1, acceptMime: ["text/csv"] },
      urlFiles: { enabled: false },
    };
    await publish(place, "files", { inputSpec: { filesInput } });
    await aBlob(place, place.projectId, one, "text/plain");
    const named = (...names: string[]) => ({ workflow: "files", files: names.map((name) => ({ name, sha256: one })) });
    expect(await refusal(ask(place, named()))).toEqual(["INVALID", "/files"]);
    expect(await refusal(ask(place, named("a.csv", "b.png")))).toEqual(["INVALID", "/files", "/files/1"]);
    expect(await refusal(ask(place, { ...named("a.csv"), urlFiles: [{ url: "https://x.example/" }] }))).toEqual([
      "INVALID",
      "/urlFiles",
    ]);
    expect(await ask(place, named("a.csv"))).toMatchObject({ replayed: false });
    expect(
      await ask(
        place,
        { workflow: "files" },
        { uploads: [{ name: "a", sha256: two, sizeBytes: 1, mime: "text/csv" }], caller: anyone },
      ),
    ).toBeDefined();
  });
});
