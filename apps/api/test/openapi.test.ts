import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { insertTick } from "@maia/db";
import { newId, sha256Hex } from "@maia/domain";
import { Ajv2020 } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import { readConfig } from "../src/config.js";
import { routes } from "../src/routes/index.js";
import { ask as askRoute } from "./access/ask.js";
import { howToAsk } from "./access/how-to-ask.js";
import { Scene } from "./access/scene.js";
import { anInstance, aRunner } from "./fleet-rows.js";
import { anAttempt, aRun, aWorkflow, endRun, logEvent } from "./rows.js";
import { type Answer, openTestApi, type TestApi } from "./support.js";

type Json = Record<string, unknown>;

interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly { name: string; in: string; schema: Json }[];
  readonly requestBody?: { content: Record<string, { schema: Json; example?: unknown }> };
  readonly responses: Record<string, { $ref?: string; content?: Record<string, { schema: Json; example?: unknown }> }>;
}

let api: TestApi;
let doc: {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Json> };
};
let ids: Record<string, string>;
let ajv: Ajv2020;

beforeAll(async () => {
  const { constants } = readConfig({ MAIA_RUNNER_HEARTBEAT_MS: "50" });
  api = await openTestApi({ constants });
  doc = (await api.get("/v1/openapi.json")).json as unknown as typeof doc;
  ids = await oneOfEach(api);
  ajv = new Ajv2020({ strict: false, allErrors: true });
  (formats as unknown as { default: (ajv: Ajv2020) => void }).default(ajv);
  ajv.addSchema({ $id: "doc", components: closed(doc.components) });
});

afterAll(() => api[Symbol.asyncDispose]());

/** Rows for every route to find. */
async function oneOfEach(api: TestApi): Promise<Record<string, string>> {
  const workflow = await aWorkflow(api);
  const run = await aRun(api, workflow);
  const attempt = await anAttempt(api, run);
  await logEvent(api.db, run, attempt, 1, ["one", "two"]);
  const { sha256, sizeBytes } = await api.blobs.put(Buffer.from("report"));
  const artifact = newId("artifact", api.now);
  const file = newId("file", api.now);
  await api.db.write(async ({ models }) => {
    const blob = { sha256, sizeBytes: BigInt(sizeBytes), mime: "text/plain", createdAt: api.now };
    await models.inputBlob.create({ data: { ...blob, usedAt: api.now } });
    await models.inputFile.create({
      data: {
        ...blob,
        id: file,
        jobRunId: run.jobId,
        position: 0,
        name: "in.txt",
        source: "upload",
        status: "READY",
        path: "inputs/0-in.txt",
      },
    });
    const about = { runId: run.id, attemptId: attempt, stepKey: "first", attemptNo: 1 };
    await models.artifact.create({ data: { ...blob, ...about, id: artifact, name: "report.txt", system: false } });
  });
  await endRun(api, run);
  const schedule = await aSchedule(api);
  const dueAt = api.now;
  const missed = { scheduleId: schedule, dueAt, lastDueAt: dueAt, count: 1, outcome: "missed" } as const;
  await api.db.write((tx) => insertTick(tx, missed, api.now));
  await api.put("/v1/environments/default/secrets/TOKEN", { value: "swordfish" });
  const key = (await api.post("/v1/api-keys", { name: "k", role: "viewer" })).json.id;
  const batch = (await api.post("/v1/batches", { workflow: "hello", items: [{}] })).json.id;
  const { id: runner } = await aRunner(api, { name: "described", platform: "self_managed" });
  await anInstance(api, runner, { capabilities: [] });
  return {
    runner,
    job: run.jobId,
    run: run.id,
    workflow: workflow.id,
    artifact,
    file,
    key,
    schedule,
    batch,
    sha256: sha256Hex("new"),
    project: "default",
    environment: "default",
  };
}

async function aSchedule(api: TestApi): Promise<string> {
  const { json } = await api.post("/v1/schedules", { workflow: "hello", kind: "interval", intervalMs: 60_000 });
  return json.id;
}

/** In a test an answer may have nothing that the document does not name. */
function closed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closed);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, member]) => [key, key === "examples" ? member : closed(member)]);
  const schema = Object.fromEntries(entries);
  const isOpen = "properties" in value && !("additionalProperties" in value);
  return isOpen ? { ...schema, additionalProperties: false } : schema;
}

function faults(schema: Json, value: unknown): unknown {
  const rebased = JSON.parse(JSON.stringify(closed(schema)).replaceAll('"#/components', '"doc#/components'));
  const validate = ajv.compile(rebased);
  return validate(value) ? null : validate.errors;
}

function operations(): { path: string; method: string; operation: Operation }[] {
  return Object.entries(doc.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ path, method, operation })),
  );
}

function addressOf(path: string): string {
  const place: Record<string, string | undefined> = {
    n: "1",
    name: "TOKEN",
    env: "default",
    sha256: ids.sha256,
    idOrSlug: "hello",
  };
  const kind = path.split("/")[2]!;
  const ofKind: Record<string, string> = {
    jobs: "job",
    runs: "run",
    artifacts: "artifact",
    files: "file",
    "api-keys": "key",
    batches: "batch",
    projects: "project",
    environments: "environment",
    schedules: "schedule",
    runners: "runner",
  };
  return path.replace(/\{(\w+)\}/g, (_, name: string) => place[name] ?? ids[ofKind[kind]!]!);
}

/** Asks as the document says, with its own example. */
async function ask(path: string, method: string, operation: Operation): Promise<Answer> {
  const example = operation.requestBody?.content["application/json"]?.example;
  const body = example as Json | undefined;
  if (operation.operationId === "putBlob") return api.request("PUT", addressOf(path), { body: "new" });
  if (operation.operationId === "putWorkflow")
    return api.put(addressOf(path).replace("hello", String(body?.name)), body);
  if (["createJob", "createBatch", "createSchedule"].includes(operation.operationId))
    return api.post(path, { ...body, workflow: "hello" });
  if (operation.operationId === "narrowAllowList") return api.request("DELETE", `${addressOf(path)}?projectId=default`);
  if (operation.operationId === "deleteSchedule") return api.request("DELETE", `/v1/schedules/${await aSchedule(api)}`);
  if (operation.operationId === "deleteJob" || operation.operationId === "deleteRun") {
    const run = await aRun(api, await aWorkflow(api, operation.operationId.toLowerCase()));
    await endRun(api, run);
    return api.request("DELETE", path.replace("{id}", operation.operationId === "deleteJob" ? run.jobId : run.id));
  }
  if (operation.operationId === "createToken") return askForToken();
  if (operation.operationId === "followRun") return api.get(`${addressOf(path)}?until=end`);
  const headers = { "Content-Type": "application/json" };
  return api.request(
    method.toUpperCase(),
    addressOf(path),
    body === undefined ? {} : { headers, body: JSON.stringify(body) },
  );
}

function askForToken(): Promise<Answer> {
  const [, id, secret] = /^mk_([0-9a-z]+)_(.+)$/.exec(api.adminKey)!;
  const body = new URLSearchParams({
    grant_type: "client_credentials",
    client_id: `key_${id}`,
    client_secret: secret!,
  });
  return api.request("POST", "/oauth/token", {
    key: null,
    headers: { "Content-Type": "application/x-www-form-urlencoded" },
    body: body.toString(),
  });
}

async function askAsRunner(scene: Scene, { operationId }: Operation): Promise<Answer> {
  const route = routes.find((one) => one.operationId === operationId)!;
  const asked = await howToAsk[operationId]!.ask[0]!(scene);
  const { status, headers, text } = await askRoute(api, route, asked, await scene.runnerToken());
  return {
    status,
    headers,
    text,
    get json() {
      return JSON.parse(text);
    },
  };
}

describe("the OpenAPI document", () => {
  it("is OpenAPI 3.1, and each of its operations has its own name", () => {
    expect(doc.openapi).toBe("3.1.0");
    const names = operations().map(({ operation }) => operation.operationId);
    expect(names.length).toBeGreaterThan(30);
    expect(new Set(names).size).toBe(names.length);
  });

  it("has examples that its own schemas accept", () => {
    for (const [name, schema] of Object.entries(doc.components.schemas)) {
      for (const example of (schema.examples as unknown[]) ?? []) {
        expect({ name, faults: faults({ $ref: `#/components/schemas/${name}` }, example) }).toEqual({
          name,
          faults: null,
        });
      }
    }
    for (const { operation } of operations()) {
      for (const { schema, example } of Object.values(operation.requestBody?.content ?? {})) {
        if (example === undefined) continue;
        const name = operation.operationId;
        expect({ name, faults: faults(schema, example) }).toEqual({ name, faults: null });
      }
    }
  });

  it("tells the truth: every route answers as it says (B134)", async () => {
    const fleet = await Scene.open(api);
    const endless = new Set(["followAll"]);
    const last = new Set([
      "revokeApiKey",
      "deleteSecret",
      "deleteWorkflow",
      "cancelJob",
      "cancelRun",
      "cancelBatch",
      "removeRunner",
    ]);
    const conflicts = new Set(["cancelJob", "cancelRun", "retryBatch", "updateBatch", "testConnectivity"]); // they have ended, or not yet
    const all = operations().filter(({ operation }) => !endless.has(operation.operationId));
    const ordered = [
      ...all.filter((one) => !last.has(one.operation.operationId)),
      ...all.filter((one) => last.has(one.operation.operationId)),
    ];
    for (const { path, method, operation } of ordered) {
      const name = operation.operationId;
      if (name === "hasBlob") continue; // nothing is known yet; the blobs' own tests have it
      const answer = path.startsWith("/v1/gateway")
        ? await askAsRunner(fleet, operation)
        : await ask(path, method, operation);
      const isConflict = answer.status === 409 && conflicts.has(name);
      if (isConflict) continue;
      expect({ name, status: answer.status }).toEqual({
        name,
        status: Number(Object.keys(operation.responses).find((s) => s === String(answer.status))),
      });
      const json = operation.responses[answer.status]?.content?.["application/json"];
      if (json) expect({ name, faults: faults(json.schema, answer.json) }).toEqual({ name, faults: null });
    }
  });

  it("names every method: others are 405 with Allow, and other paths are 404", async () => {
    const methods = ["GET", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"];
    for (const [path, item] of Object.entries(doc.paths)) {
      const declared = Object.keys(item).map((method) => method.toUpperCase());
      for (const method of methods.filter((one) => !declared.includes(one))) {
        const answer = await api.request(method, addressOf(path));
        expect({ path, method, status: answer.status }).toEqual({ path, method, status: 405 });
        const allow = answer.headers.get("allow")!.split(", ");
        expect(allow).toEqual([...new Set([...declared, ...(declared.includes("GET") ? ["HEAD"] : [])])].sort());
      }
      expect((await api.get(`${addressOf(path)}/nothing/here/at-all`)).status).toBe(404);
    }
  });

  it("describes what is refused: whatever breaks a request's schema is a 4xx, and what keeps it is not", async () => {
    await api.put("/v1/workflows/hello", { steps: [{ key: "a", script: "x" }] }); // there again, if it was deleted
    ids.runner = (await aRunner(api, { name: "there again" })).id;
    for (const { path, method, operation } of operations()) {
      const json = operation.requestBody?.content["application/json"];
      if (!json || !["post", "patch"].includes(method) || path.startsWith("/v1/gateway")) continue; // theirs may say more
      const example = json.example as Json;
      const broken = [
        { ...example, unheard: 1 },
        [],
        "text",
        ...Object.keys(example).map((key) => ({ ...example, [key]: { odd: [] } })),
      ];
      for (const body of broken) {
        if (faults(json.schema, body) === null) continue;
        const answer = await api.request(method.toUpperCase(), addressOf(path), {
          headers: { "Content-Type": "application/json" },
          body: JSON.stringify(body),
        });
        expect({ path, body, status: answer.status }).toEqual({ path, body, status: 422 });
        expect(answer.json.errors[0].pointer).toEqual(expect.any(String));
      }
    }
  });

  it("describes problems as they are", async () => {
    const answer = await api.get("/v1/jobs/job_nothing");
    expect(faults({ $ref: "#/components/schemas/Problem" }, answer.json)).toBeNull();
  });
});
