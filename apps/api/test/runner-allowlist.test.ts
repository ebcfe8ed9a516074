import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { toDbTime } from "@maia/db";
import { anInstance, aRunner, auditOf } from "./fleet-rows.js";
import { anAttempt, aRun, aWorkflow, endRun } from "./rows.js";
import { openTestApi, type TestApi } from "./support.js";

let api: TestApi;
let projectId: string;
let otherId: string;
beforeAll(async () => {
  api = await openTestApi();
  projectId = (await api.get("/v1/projects/default")).json.id;
  otherId = (await api.post("/v1/projects", { name: "other" })).json.id;
  for (const name of ["dev", "prod"]) await api.post("/v1/projects/default/environments", { name });
  await api.put("/v1/workflows/hello", { steps: [{ key: "a", script: "x" }] });
});
afterAll(() => api[Symbol.asyncDispose]());

const put = (id: string, projects: object) => api.put(`/v1/runners/${id}/allowlist`, { projects });
const patch = (id: string, projects: object, headers: Record<string, string> = {}) =>
  api.request("PATCH", `/v1/runners/${id}/allowlist`, {
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify({ projects }),
  });
const remove = (id: string, query: string) => api.request("DELETE", `/v1/runners/${id}/allowlist?${query}`);

describe("an allow list", () => {
  it("is replaced, grows and shrinks, as a set (B106, F46)", async () => {
    const { id } = await aRunner(api, { name: "listed" });
    expect((await api.get(`/v1/runners/${id}/allowlist`)).json).toEqual({ projects: {} });
    const replaced = await put(id, { default: { environments: ["prod", "dev", "prod"] } });
    expect([replaced.status, replaced.json]).toEqual([
      200,
      { projects: { [projectId]: { environments: ["dev", "prod"] } } },
    ]);
    const grown = await patch(id, { [projectId]: { environments: ["default"] }, other: {} });
    expect(grown.json.projects).toEqual({ [projectId]: { environments: ["default", "dev", "prod"] }, [otherId]: {} });
    expect((await put(id, grown.json.projects)).json).toEqual(grown.json);
    const shrunk = await remove(id, "projectId=default&environment=dev");
    expect(shrunk.json.projects[projectId]).toEqual({ environments: ["default", "prod"] });
    expect((await remove(id, `projectId=${otherId}`)).json).toEqual({
      projects: { [projectId]: { environments: ["default", "prod"] } },
    });
    expect(await auditOf(api, id)).toEqual(["runner.create", ...Array(5).fill("runner.allowlist")]);
  });

  it("never means more because something was taken away (B106)", async () => {
    const { id } = await aRunner(api, { name: "shrinking" });
    await put(id, { default: { environments: ["dev"] }, other: {} });
    expect((await remove(id, "projectId=default&environment=dev")).json).toEqual({ projects: { [otherId]: {} } });
    const all = await remove(id, "projectId=other&environment=default");
    expect([all.status, all.json.code]).toEqual([409, "STATE_CONFLICT"]);
    expect((await remove(id, "projectId=default")).status).toBe(404);
  });

  it("names only what exists: others are refused by their pointer (B106)", async () => {
    const { id } = await aRunner(api, { name: "strict" });
    const pointers = async (projects: object) => {
      const { status, json } = await put(id, projects);
      return [status, ...json.errors.map(({ pointer }: { pointer: string }) => pointer)];
    };
    expect(await pointers({ nowhere: {}, default: { environments: ["dev", "moon"] } })).toEqual([
      422,
      "/projects/nowhere",
      "/projects/default/environments/1",
    ]);
    expect(await pointers({ default: { environments: ["dev"], more: 1 } })).toEqual([422, "/projects/default/more"]);
    const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`p${i}`, {}]));
    expect(await pointers(many)).toEqual([422, "/projects"]);
    expect((await patch(id, {})).status).toBe(422);
    expect((await remove(id, "environment=dev")).status).toBe(422);
    expect((await remove(id, "projectId=nowhere")).status).toBe(422);
  });

  it("changes under If-Match only as it was seen", async () => {
    const { id } = await aRunner(api, { name: "matched" });
    const etag = (await api.get(`/v1/runners/${id}/allowlist`)).headers.get("etag")!;
    expect((await patch(id, { other: {} }, { "If-Match": etag })).status).toBe(200);
    expect((await patch(id, { default: {} }, { "If-Match": etag })).status).toBe(412);
  });

  it("shows each reader the projects that they may see", async () => {
    const { id } = await aRunner(api, { name: "partly", restricted: true });
    await put(id, { default: {}, other: {} });
    const key = await api.keyOf("viewer", [otherId]);
    expect((await api.get(`/v1/runners/${id}/allowlist`, { key })).json).toEqual({ projects: { [otherId]: {} } });
    await remove(id, "projectId=other");
    expect((await api.get(`/v1/runners/${id}`, { key })).status).toBe(404);
    const names = (await api.get("/v1/runners?limit=100", { key })).json.items.map(
      ({ name }: { name: string }) => name,
    );
    expect([names.includes("hosted"), names.includes("partly")]).toEqual([true, false]);
  });
});

describe("a job", () => {
  it("runs where it says, else where its environment does, else on the hosted runner", async () => {
    await aRunner(api, { name: "asked" });
    const { id: fallback } = await aRunner(api, { name: "usual" });
    await api.post("/v1/projects/default/environments", { name: "homely", defaultRunner: fallback });
    const runnerOf = async (part: object) =>
      (await api.post("/v1/jobs", { workflow: "hello", ...part })).json.runnerName;
    expect(await runnerOf({})).toBe("hosted");
    expect(await runnerOf({ environment: "homely" })).toBe("usual");
    expect(await runnerOf({ environment: "homely", runner: "asked" })).toBe("asked");
    const missing = await api.post("/v1/jobs", { workflow: "hello", runner: "nobody" });
    expect([missing.status, missing.json.detail]).toEqual([404, expect.stringContaining("nobody")]);
  });

  it("is refused by a runner that does not take its project and environment, however it comes (G23, F46)", async () => {
    const { id } = await aRunner(api, { name: "picky", restricted: true });
    const refusal = async (path: string, body: object) => {
      const { status, json } = await api.post(path, body);
      return [status, json.code, /project default, environment dev\b/.test(json.detail)];
    };
    const refused = [409, "RUNNER_NOT_ALLOWED", true];
    const job = { workflow: "hello", environment: "dev", runner: "picky" };
    expect(await refusal("/v1/jobs", job)).toEqual(refused);
    expect(await refusal("/v1/batches", { ...job, items: [{}] })).toEqual(refused);
    expect(await refusal("/v1/batches", { ...job, items: [{}], dryRun: true })).toEqual(refused);
    expect(await refusal("/v1/schedules", { ...job, kind: "interval", intervalMs: 60_000 })).toEqual(refused);
    await put(id, { default: { environments: ["dev"] } });
    expect((await api.post("/v1/jobs", job)).json.runnerName).toBe("picky");
    expect((await api.post("/v1/jobs", { ...job, environment: "prod" })).status).toBe(409);
    await put(id, { default: {} });
    expect((await api.post("/v1/jobs", { ...job, environment: "prod" })).status).toBe(201);
    await put(id, {});
    expect(await refusal("/v1/jobs", job)).toEqual(refused);
  });

  it("is refused where the environment's default does not take it (G23)", async () => {
    await aRunner(api, { name: "closed", restricted: true });
    await api.post("/v1/projects/default/environments", { name: "shut", defaultRunner: "closed" });
    const { status, json } = await api.post("/v1/jobs", { workflow: "hello", environment: "shut" });
    expect([status, json.code]).toEqual([409, "RUNNER_NOT_ALLOWED"]);
    expect(json.detail).toMatch(/runner closed .*environment shut/);
  });

  it("of a schedule that is not allowed any more is accounted for as refused (G23)", async () => {
    const { id } = await aRunner(api, { name: "timed", restricted: true });
    await put(id, { default: {} });
    const job = { workflow: "hello", runner: "timed" };
    const schedule = (await api.post("/v1/schedules", { ...job, kind: "interval", intervalMs: 60_000 })).json;
    expect(schedule.runnerName).toBe("timed");
    await put(id, {});
    const triggered = await api.post(`/v1/schedules/${schedule.id}/trigger`);
    expect([triggered.status, triggered.json.code]).toEqual([409, "RUNNER_NOT_ALLOWED"]);
    const plain = (await api.post("/v1/schedules", { workflow: "hello", kind: "interval", intervalMs: 60_000 })).json;
    expect(plain.runnerId).toBeNull();
  });

  it("that is made again runs where the first one did, if that is still allowed (G23)", async () => {
    const { id } = await aRunner(api, { name: "again" });
    const run = await aRun(api, await aWorkflow(api, "again"));
    await api.db.write(({ sql }) => sql.run(`UPDATE "JobRun" SET "runnerId" = ? WHERE "id" = ?`, id, run.jobId));
    await endRun(api, run);
    const rerun = () => api.post(`/v1/runs/${run.id}/rerun`, {});
    expect((await rerun()).json.runnerName).toBe("again");
    await api.request("PATCH", `/v1/runners/${id}`, {
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ restricted: true }),
    });
    expect((await rerun()).json.code).toBe("RUNNER_NOT_ALLOWED");
    expect((await api.request("DELETE", `/v1/runners/${id}?force=true`)).status).toBe(200);
    const removed = await rerun();
    expect([removed.status, removed.json.code]).toEqual([409, "RUNNER_NOT_ALLOWED"]);
    expect(removed.json.detail).toContain("was removed");
  });
});

describe("why a job waits", () => {
  const why = async (id: string) => (await api.get(`/v1/jobs/${id}/why`)).json.items;
  const codes = async (id: string) => (await why(id)).map(({ code }: { code: string }) => code);

  it("is told from what its runner does now", async () => {
    const { id } = await aRunner(api, { name: "waited" });
    const job = (await api.post("/v1/jobs", { workflow: "hello", runner: "waited" })).json.id;
    expect((await why(job))[0]).toMatchObject({
      code: "RUNNER_NOT_CONNECTED",
      message: "The runner waited has never connected",
    });
    const instance = await anInstance(api, id);
    expect(await codes(job)).not.toContain("RUNNER_NOT_CONNECTED");
    await api.post("/v1/runners/waited/commands", { command: "PAUSE" });
    const [paused] = await why(job);
    const until = new Date(api.now.getTime() + 12 * 3_600_000).toISOString();
    expect(paused).toEqual({
      code: "RUNNER_PAUSED",
      message: `The runner waited is paused until ${until}`,
      action: "Resume it: maia runners resume waited",
    });
    await api.post("/v1/runners/waited/commands", { command: "RESUME" });
    await fill(id, instance, 4);
    expect((await why(job))[0]).toMatchObject({ code: "RUNNER_BUSY", message: expect.stringContaining("All 4 slots") });
    await api.post("/v1/runners/waited/commands", { command: "STOP" });
    expect((await codes(job))[0]).toBe("RUNNER_STOPPING");
    await api.request("PATCH", `/v1/runners/${id}`, {
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ restricted: true }),
    });
    expect((await why(job))[0]).toMatchObject({
      code: "RUNNER_NOT_ALLOWED",
      action: "Put them on its allow list: maia runners allow waited default/default",
    });
  });

  it("names the steps that wait for the runner, and since when", async () => {
    const { id } = await aRunner(api, { name: "queued" });
    const run = await aRun(api, await aWorkflow(api, "queued"));
    await api.db.write(async ({ sql }) => {
      await sql.run(`UPDATE "JobRun" SET "runnerId" = ? WHERE "id" = ?`, id, run.jobId);
      const text = `UPDATE "RunStep" SET "queuedFor" = ?, "queuedAt" = ? WHERE "runId" = ? AND "key" = 'first'`;
      await sql.run(text, id, toDbTime(api.now), run.id);
    });
    expect(await why(run.jobId)).toEqual([
      expect.objectContaining({ code: "RUNNER_NOT_CONNECTED" }),
      {
        code: "QUEUED_ON_RUNNER",
        message: `Step first is ready, and waits for the runner queued since ${api.now.toISOString()}`,
      },
      { code: "STEP_WAITS", message: "Step second waits for first" },
    ]);
  });

  /** Binds so many tasks to an instance. */
  async function fill(runnerId: string, instanceId: string, count: number): Promise<void> {
    const run = await aRun(api, await aWorkflow(api, "filling"));
    for (let no = 1; no <= count; no++) {
      const attempt = await anAttempt(api, run, no);
      await api.db.write(({ sql }) =>
        sql.run(`UPDATE "Attempt" SET "runnerId" = ?, "instanceId" = ? WHERE "id" = ?`, runnerId, instanceId, attempt),
      );
    }
  }
});
