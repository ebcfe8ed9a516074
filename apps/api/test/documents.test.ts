import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { moveRun, verifyAudit } from "@maia/db";
import { canonicalJson, sha256Hex } from "@maia/domain";
import { aJob, aRun, aWorkflow } from "./rows.js";
import { openTestApi, type TestApi } from "./support.js";

let api: TestApi;

beforeEach(async () => {
  api = await openTestApi();
});

afterEach(() => api[Symbol.asyncDispose]());

const steps = (script: string) => ({ steps: [{ key: "a", script }] });

describe("a workflow", () => {
  it("is published when it has changed, and only then", async () => {
    const put = (script: string, query = "") => api.put(`/v1/workflows/hello${query}`, steps(script));
    const answers = [await put("1"), await put("1"), await put("2"), await put("3", "?publish=false"), await put("3")];
    expect(answers.map(({ status, json }) => [status, json.version, json.published])).toEqual([
      [201, 1, true],
      [200, 1, false],
      [200, 2, true],
      [200, 2, false],
      [200, 3, true],
    ]);
    expect(answers[0]!.json.workflow).toBe("hello");
    expect((await put("4", "?publish=maybe")).status).toBe(422);
  });

  it("can be changed field by field, if it is what its author saw", async () => {
    await api.put("/v1/workflows/hello", { ...steps("1"), description: "old", env: { A: "1" } });
    const seen = await api.get("/v1/workflows/hello");
    const headers = { "If-Match": seen.headers.get("etag")! };
    const changed = await api.request("PATCH", "/v1/workflows/hello", {
      headers: { ...headers, "Content-Type": "application/json" },
      body: JSON.stringify({ description: "new", env: null }),
    });
    expect([changed.status, changed.json.version, changed.json.published]).toEqual([200, 2, true]);
    const { definition } = (await api.get("/v1/workflows/hello")).json;
    expect([definition.description, definition.env, definition.steps[0].script]).toEqual(["new", {}, "1"]);
    const patch = (body: object, more = {}) =>
      api.request("PATCH", "/v1/workflows/hello", {
        headers: { "Content-Type": "application/json", ...more },
        body: JSON.stringify(body),
      });
    expect((await patch({ description: "late" }, headers)).status).toBe(412);
    expect((await patch({ colour: "red" })).json.errors[0].pointer).toBe("/colour");
    expect((await patch({ name: "other" })).status).toBe(422);
  });

  it("shows its draft, and that it differs from what runs", async () => {
    await api.put("/v1/workflows/hello", steps("1"));
    await api.put("/v1/workflows/hello?publish=false", steps("2"));
    const { json } = await api.get("/v1/workflows/hello");
    expect([json.name, json.latestVersion, json.hasUnpublishedChanges, json.definition.steps[0].script]).toEqual([
      "hello",
      1,
      true,
      "2",
    ]);
    expect((await api.get(`/v1/workflows/${json.id}`)).json).toEqual(json);
    expect((await api.get("/v1/workflows")).json.items).toEqual(
      [{ ...json, definition: undefined }].map(({ definition: _, ...rest }) => rest),
    );
  });

  it("has versions whose hash is that of the snapshot as it is shown (G5)", async () => {
    const { json: made } = await api.put("/v1/workflows/hello", steps("1"));
    await api.put("/v1/workflows/hello", steps("2"));
    const { json: version, headers } = await api.get("/v1/workflows/hello/versions/1");
    expect(sha256Hex(canonicalJson(version.workflowSnap))).toBe(made.snapHash);
    expect([version.snapHash, headers.get("etag")]).toEqual([made.snapHash, `"${made.snapHash}"`]);
    const first = (await api.get("/v1/workflows/hello/versions?limit=1")).json;
    const rest = (await api.get(`/v1/workflows/hello/versions?limit=1&cursor=${first.nextCursor}`)).json;
    expect([...first.items, ...rest.items].map((item: { version: number }) => item.version)).toEqual([2, 1]);
    expect(rest.nextCursor).toBeNull();
    for (const n of ["0", "3", "x", "1.0", "-1", "01"])
      expect((await api.get(`/v1/workflows/hello/versions/${n}`)).status).toBe(404);
  });

  it("is not replaced or deleted by who has not seen its last change", async () => {
    const match = (tag: string) => ({ headers: { "If-Match": tag } });
    const none = await api.put("/v1/workflows/hello", steps("1"), match('"x"'));
    expect([none.status, none.json.code]).toEqual([412, "PRECONDITION"]);
    expect((await api.put("/v1/workflows/hello", steps("1"), match("*"))).status).toBe(412);
    const old = (await api.put("/v1/workflows/hello", steps("1"))).headers.get("etag")!;
    const current = (await api.put("/v1/workflows/hello", steps("2"), match(old))).headers.get("etag")!;
    expect((await api.get("/v1/workflows/hello")).headers.get("etag")).toBe(current);
    expect((await api.put("/v1/workflows/hello", steps("3"), match(old))).status).toBe(412);
    expect((await api.put("/v1/workflows/hello", steps("3"), match("garbage"))).status).toBe(400);
    expect((await api.request("DELETE", "/v1/workflows/hello", match(old))).status).toBe(412);
    expect((await api.request("DELETE", "/v1/workflows/hello", match(`${old}, ${current}`))).status).toBe(204);
  });

  it("is found by a part of its name or description, in the order that is asked for, page by page", async () => {
    for (const [slug, description] of [
      ["report-b", "Weekly"],
      ["clean", "Before each REPORT"],
      ["report-a", "100 % of it"],
    ] as const) {
      api.now = new Date(api.now.getTime() + 1_000);
      await api.put(`/v1/workflows/${slug}`, { description, ...steps("1") });
    }
    api.now = new Date(api.now.getTime() + 1_000);
    await api.put("/v1/workflows/clean", { description: "Before each report", ...steps("2") });
    const names = async (query: string) => {
      const found: string[] = [];
      for (let cursor = ""; ; ) {
        const { items, nextCursor } = (await api.get(`/v1/workflows?limit=1&${query}${cursor}`)).json;
        found.push(...items.map(({ name }: { name: string }) => name));
        if (nextCursor === null) return found;
        cursor = `&cursor=${nextCursor}`;
      }
    };
    expect(await names("")).toEqual(["report-a", "clean", "report-b"]);
    expect(await names("order=asc")).toEqual(["report-b", "clean", "report-a"]);
    expect(await names("sort=name")).toEqual(["clean", "report-a", "report-b"]);
    expect(await names("sort=name&order=desc")).toEqual(["report-b", "report-a", "clean"]);
    expect(await names("sort=updated")).toEqual(["clean", "report-a", "report-b"]);
    expect(await names("q=Report&sort=name")).toEqual(["clean", "report-a", "report-b"]);
    expect(await names("q=report-")).toEqual(["report-a", "report-b"]);
    expect(await names(`q=${encodeURIComponent("%")}`)).toEqual(["report-a"]);
    expect(await names("q=_")).toEqual([]);
    const { nextCursor } = (await api.get("/v1/workflows?limit=1&sort=name")).json;
    expect((await api.get(`/v1/workflows?limit=1&cursor=${nextCursor}`)).json.code).toBe("BAD_CURSOR");
    for (const query of ["sort=size", "order=up", "q=", "query=x"]) {
      expect((await api.get(`/v1/workflows?${query}`)).status).toBe(422);
    }
  });

  it("is shown with its last run, what waits and runs, and how its last twenty runs ended", async () => {
    const flow = await aWorkflow(api, "busy");
    const nothing = { succeeded: 0, failed: 0, canceled: 0, successRate: null };
    const shown = async () => (await api.get("/v1/workflows")).json.items[0];
    expect(await shown()).toMatchObject({ lastRun: null, queued: 0, running: 0, recent: nothing });
    for (let i = 0; i < 22; i++) {
      api.now = new Date(api.now.getTime() + 1_000);
      const run = await aRun(api, flow);
      const move = i < 2 || i === 10 ? "stepFailed" : i === 11 ? "cancel" : "stepsSucceeded";
      await api.db.write((tx) => moveRun(tx, run, move, api.now));
    }
    api.now = new Date(api.now.getTime() + 1_000);
    await aJob(api, flow);
    const last = await aRun(api, flow);
    const expected = {
      lastRun: {
        id: last.id,
        jobId: last.jobId,
        status: "RUNNING",
        createdAt: api.now.toISOString(),
        finishedAt: null,
      },
      queued: 1,
      running: 1,
      // The two oldest of the failed ones count no more.
      recent: { succeeded: 18, failed: 1, canceled: 1, successRate: 0.947 },
    };
    expect(await shown()).toMatchObject(expected);
    expect((await api.get("/v1/workflows/busy")).json).toMatchObject(expected);
    const runs = async (query: string) => (await api.get(`/v1/runs?${query}`)).json.items;
    expect(await runs("q=bus&status=FAILED")).toHaveLength(3);
    expect(await runs("q=nothing")).toEqual([]);
    expect((await runs("order=asc&limit=1"))[0].status).toBe("FAILED");
    expect((await runs(`createdAfter=${api.now.toISOString()}`)).map(({ id }: { id: string }) => id)).toEqual([
      last.id,
    ]);
    expect(await runs(`createdBefore=${api.now.toISOString()}&limit=100`)).toHaveLength(22);
    expect((await api.get("/v1/runs?createdAfter=yesterday")).json.errors[0].pointer).toBe("/createdAfter");
    expect((await api.get("/v1/jobs?q=bus&order=asc&limit=100")).json.items).toHaveLength(24);
  });

  it("is found no more once it is deleted, and its runs stay", async () => {
    await api.put("/v1/workflows/hello", steps("1"));
    const job = (await api.post("/v1/jobs", { workflow: "hello" })).json;
    const { id } = (await api.get("/v1/workflows/hello")).json;
    expect((await api.request("DELETE", `/v1/workflows/${id}`)).status).toBe(204);
    for (const path of ["/v1/workflows/hello", `/v1/workflows/${id}`, `/v1/workflows/${id}/versions/1`]) {
      expect((await api.get(path)).status).toBe(404);
    }
    expect((await api.get("/v1/workflows")).json.items).toEqual([]);
    expect((await api.get(`/v1/jobs/${job.id}`)).json.workflow).toBe("hello");
  });

  it("is still a name to find its jobs, runs and batches by once it is deleted", async () => {
    const flow = await aWorkflow(api, "gone");
    const run = await aRun(api, flow);
    await api.post("/v1/batches", { workflow: "gone", items: [{ params: {} }] });
    expect((await api.request("DELETE", `/v1/workflows/${flow.id}`)).status).toBe(204);
    for (const name of ["gone", flow.id]) {
      const listed = async (what: string) => (await api.get(`/v1/${what}?workflow=${name}`)).json.items;
      expect(await listed("jobs")).toHaveLength(1);
      expect((await listed("runs")).map(({ id }: { id: string }) => id)).toEqual([run.id]);
      expect(await listed("batches")).toHaveLength(1);
      expect(await listed("schedules")).toEqual([]);
    }
    expect((await api.get("/v1/jobs?workflow=never-was")).status).toBe(404);
  });

  it("that was deleted comes back with its versions, and who brings it back is told so", async () => {
    const put = async (script: string, query = "") =>
      (await api.put(`/v1/workflows/hello${query}`, steps(script))).json;
    const remove = () => api.request("DELETE", "/v1/workflows/hello");
    expect(await put("1")).toMatchObject({ version: 1, published: true, restored: false });
    await remove();
    expect(await put("1")).toMatchObject({ version: 1, published: false, restored: true });
    expect(await put("1")).toMatchObject({ restored: false });
    await remove();
    expect(await put("2", "?publish=false")).toMatchObject({ version: 1, published: false, restored: true });
    await remove();
    const made = await api.post("/v1/workflows/hello/versions", { definition: { name: "hello", ...steps("1") } });
    expect([made.status, made.json]).toMatchObject([200, { version: 1, restored: true }]);
    const { items } = (await api.get("/v1/audit-events")).json;
    expect(items.map(({ action }: { action: string }) => action).slice(0, 2)).toEqual([
      "version.create",
      "workflow.delete",
    ]);
  });

  it("names every fault of a definition with a pointer into it", async () => {
    const answer = await api.put("/v1/workflows/hello", {
      steps: [{ key: "A", script: 5 }],
      env: { PATH: "x" },
      extra: 1,
    });
    expect([answer.status, answer.json.code]).toEqual([422, "INVALID"]);
    const pointers = answer.json.errors.map(({ pointer }: { pointer: string }) => pointer).sort();
    expect(pointers).toEqual(["/env/PATH", "/extra", "/steps/0/key", "/steps/0/script"]);
    expect((await api.put("/v1/workflows/hello", { name: "other", ...steps("1") })).json.errors[0].pointer).toBe(
      "/name",
    );
    const cycle = [
      { key: "a", script: "x", deps: ["b"] },
      { key: "b", script: "x", deps: ["a"] },
    ];
    expect((await api.put("/v1/workflows/hello", { steps: cycle })).json.code).toBe("CYCLE");
  });
});

describe("projects and environments", () => {
  it("exist by default, and can be made, found by id or name, and listed", async () => {
    const made = await api.post("/v1/projects", { name: "finance" });
    expect([made.status, made.headers.get("location")]).toEqual([201, `/v1/projects/${made.json.id}`]);
    expect((await api.get("/v1/projects/finance")).json).toEqual((await api.get(`/v1/projects/${made.json.id}`)).json);
    expect((await api.get("/v1/projects")).json.items.map(({ name }: { name: string }) => name)).toEqual([
      "finance",
      "default",
    ]);
    expect((await api.post("/v1/projects", { name: "finance" })).json.code).toBe("STATE_CONFLICT");
    const { items } = (await api.get("/v1/projects/finance/environments")).json;
    expect(items.map(({ name }: { name: string }) => name)).toEqual(["default"]);
  });

  it("are made once per Idempotency-Key", async () => {
    const make = (name: string) => api.post("/v1/projects", { name }, { headers: { "Idempotency-Key": "once" } });
    const first = await make("finance");
    const again = await make("finance");
    expect([again.status, again.json, again.headers.get("idempotent-replayed")]).toEqual([201, first.json, "true"]);
    expect((await make("other")).json.code).toBe("IDEMPOTENCY_KEY_REUSED");
    const key = () =>
      api.post("/v1/api-keys", { name: "k", role: "viewer" }, { headers: { "Idempotency-Key": "key" } });
    const [one, two] = [await key(), await key()];
    expect([two.json.id, two.json.key]).toEqual([one.json.id, undefined]);
  });

  it("keep variables and a default runner, which change for who has seen the last change", async () => {
    const base = "/v1/projects/default/environments";
    const made = await api.post(base, { name: "staging", variables: { REGION: "eu" }, defaultRunner: "hosted" });
    expect(made.json).toMatchObject({
      name: "staging",
      variables: { REGION: "eu" },
      defaultRunnerName: "hosted",
      project: "default",
    });
    const patch = (body: object, headers: Record<string, string> = {}) =>
      api.request("PATCH", `${base}/staging`, {
        headers: { "Content-Type": "application/json", ...headers },
        body: JSON.stringify(body),
      });
    const etag = made.headers.get("etag")!;
    const changed = await patch({ variables: { REGION: "us" } }, { "If-Match": etag });
    expect([changed.status, changed.json.variables, changed.json.defaultRunnerName]).toEqual([
      200,
      { REGION: "us" },
      "hosted",
    ]);
    expect((await patch({ variables: {} }, { "If-Match": etag })).status).toBe(412);
    expect((await patch({ defaultRunner: null })).json.defaultRunnerId).toBeNull();
    expect((await patch({ defaultRunner: "ghost" })).json.errors).toEqual([
      { pointer: "/defaultRunner", message: "there is no such runner" },
    ]);
    expect((await patch({ dataResidency: "runner" })).json).toMatchObject({
      dataResidency: "runner",
      variables: { REGION: "us" },
    });
    expect((await patch({ dataResidency: "there" })).json.errors[0]).toMatchObject({ pointer: "/dataResidency" });
    expect((await api.get(`${base}/default`)).json.dataResidency).toBe("maia");
    expect((await patch({ variables: { MAIA_X: "1", GOOD: "1" } })).json.errors[0].pointer).toBe("/variables/MAIA_X");
    expect((await patch({ name: "other" })).json.errors[0].pointer).toBe("/name");
    expect((await api.post(base, { name: "staging" })).status).toBe(409);
  });

  it("leave a trace of who changed what, in a chain that holds (G33)", async () => {
    await api.post("/v1/projects", { name: "finance" }, { headers: { "X-Request-Id": "trace-1" } });
    await api.post("/v1/projects/finance/environments", { name: "staging" });
    const { id } = (await api.post("/v1/api-keys", { name: "k", role: "viewer" })).json;
    await api.request("DELETE", `/v1/api-keys/${id}`);
    await api.put("/v1/workflows/hello", steps("1"));
    const job = (await api.post("/v1/jobs", { workflow: "hello" })).json;
    await api.post(`/v1/jobs/${job.id}/cancel`);
    await api.request("DELETE", "/v1/workflows/hello");
    const rows = await api.db.models.auditEvent.findMany({ orderBy: { seq: "asc" } });
    expect(rows.map(({ action }) => action)).toEqual([
      "project.create",
      "environment.create",
      "key.create",
      "key.revoke",
      "workflow.publish",
      "job.cancel",
      "workflow.delete",
    ]);
    expect(rows[0]).toMatchObject({ requestId: "trace-1", ip: "127.0.0.1", outcome: "ok" });
    expect((await verifyAudit(api.db)).ok).toBe(true);
  });
});
