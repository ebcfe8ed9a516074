import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { type ApiKey, createApiKey, revokeApiKey } from "@maia/db";
import { DAY, MINUTE, sha256Hex } from "@maia/domain";
import { readConfig } from "../src/config.js";
import { mount } from "../src/http/dispatch.js";
import type { Method, Route } from "../src/http/route.js";
import { isAllowed, permissions, type Role, roles } from "../src/permissions.js";
import { routes } from "../src/routes/index.js";
import { ask, forNothing, nothingIn } from "./access/ask.js";
import { type Asked, howToAsk } from "./access/how-to-ask.js";
import { Scene } from "./access/scene.js";
import { openTestApi, type TestApi } from "./support.js";

let api: TestApi;
let scene: Scene;
/** Everybody who may ask: their credentials, and as whom the permission table knows them. */
let askers: { name: string; key: string | null; who: Role | "runner" | null; status?: 401 }[];
let stranger: string;

beforeAll(async () => {
  // What one test has begun, and nobody goes on with, must change nothing while the next one looks.
  const [beat, day] = ["50", String(DAY)];
  const waits = { MAIA_RUNNER_HEARTBEAT_MS: beat, MAIA_TRANSFER_WAIT_MS: day, MAIA_STREAM_IDLE_MS: day };
  const { constants } = readConfig({ MAIA_TOKEN_TTL_MS: day, ...waits });
  api = await openTestApi({ constants });
  scene = await Scene.open(api);
  const { id: elsewhere } = (await api.post("/v1/projects", { name: "elsewhere" })).json;
  stranger = await api.keyOf("admin", [elsewhere]);
  const revoked = await keyAnd((key) => api.db.write((tx) => revokeApiKey(tx, key.id, api.now)));
  const expired = await keyAnd(() => undefined, new Date(api.now.getTime() + 1));
  const ofRevoked = await keyAnd(() => undefined);
  const lost = await tokenFor(ofRevoked);
  await api.db.write((tx) => revokeApiKey(tx, idOf(ofRevoked), api.now));
  askers = [
    { name: "nobody", key: null, who: null, status: 401 },
    { name: "a revoked key", key: revoked, who: null, status: 401 },
    { name: "a key that has run out", key: expired, who: null, status: 401 },
    { name: "the token of a revoked key", key: lost, who: null, status: 401 },
    { name: "a runner's token", key: await tokenOf(scene.runner.id, scene.runner.secret), who: "runner" },
    ...(await Promise.all(roles.map(async (role) => ({ name: role, key: await api.keyOf(role), who: role })))),
    { name: "an operator's token", key: await tokenFor(await api.keyOf("operator")), who: "operator" },
    { name: "an admin's token", key: await tokenFor(await api.keyOf("admin")), who: "admin" },
  ];
});

afterAll(() => api[Symbol.asyncDispose]());

async function keyAnd(then: (key: ApiKey) => unknown, expiresAt: Date | null = null): Promise<string> {
  const wanted = { name: "of a test", role: "admin", expiresAt };
  const { key, presented } = await api.db.write((tx) => createApiKey(tx, wanted, api.now));
  await then(key);
  return presented;
}

const idOf = (key: string) => `key_${key.split("_")[1]}`;
const tokenFor = (key: string) => tokenOf(idOf(key), key.split("_").slice(2).join("_"));

async function tokenOf(client_id: string, client_secret: string): Promise<string> {
  const form = { grant_type: "client_credentials", client_id, client_secret };
  const route = routes.find(({ operationId }) => operationId === "createToken")!;
  return JSON.parse((await ask(api, route, { path: "/oauth/token", form }, null)).text).access_token;
}

/** All that is stored, as a hash per table; but for the audit log, the gateway's own beats, and when things were last used. */
async function everything(): Promise<Record<string, string>> {
  const { sql } = api.db;
  const tables = await sql.all<{ name: string }>(
    `SELECT "name" FROM "sqlite_master" WHERE "type" = 'table' AND "name" NOT IN ('AuditEvent', 'Gateway') AND "name" NOT LIKE 'sqlite%'`,
  );
  const hashes = await Promise.all(
    tables.map(async ({ name }) => {
      const rows = await sql.all<object>(`SELECT * FROM "${name}"`);
      const text = JSON.stringify(rows, (key, value) => (key === "lastUsedAt" || key === "usedAt" ? null : value));
      return [name, sha256Hex(text)];
    }),
  );
  return Object.fromEntries(hashes);
}

/** A minute later nobody has tried wrong credentials too often. */
const laterOn = () => {
  api.now = new Date(api.now.getTime() + MINUTE);
};

const declared = routes.map((route) => [`${route.method.toUpperCase()} ${route.path}`, route] as const);

describe("the table of who may ask what (G31, B111)", () => {
  it("has every route: one that is added fails here until somebody has said how to ask it", () => {
    expect(routes.map(({ operationId }) => operationId).filter((name) => !Object.hasOwn(howToAsk, name))).toEqual([]);
    expect(Object.keys(howToAsk).filter((name) => !routes.some(({ operationId }) => operationId === name))).toEqual([]);
    const unsaid = routes.filter(
      ({ method, operationId }) => changes(method) && howToAsk[operationId]!.audit === undefined,
    );
    expect(unsaid.map(({ operationId }) => operationId)).toEqual([]);
  });

  it("is complete before the process starts: a route without a permission that there is cannot be mounted", () => {
    const [route] = routes;
    const odd = ["no.such.permission", "toString", undefined] as unknown as Route["permission"][];
    for (const permission of odd)
      expect(() => mount({} as never, [{ ...route!, permission }])).toThrow("names no permission");
  });

  it("asks of each route the role that the contract gives it to", () => {
    const wanted = ({ method, path }: Route) => {
      const [, area = ""] = /^\/v1\/([\w-]+)/.exec(path) ?? [];
      if (["/healthz", "/readyz", "/oauth/token"].includes(path)) return "anyone";
      if (area === "gateway") return "runner";
      if (["api-keys", "audit-events"].includes(area) || path.includes("/secrets") || path.includes("/credentials"))
        return "admin";
      if (method === "get") return "viewer";
      if (method === "delete" && ["jobs", "runs"].includes(area)) return "editor";
      if (["jobs", "batches", "runs", "blobs"].includes(area) || path.endsWith("/trigger")) return "operator";
      const isEditors = ["workflows", "schedules"].includes(area) || path.includes("/environments");
      return isEditors ? "editor" : "admin";
    };
    const asked = routes.map((route) => [route.operationId, permissions[route.permission]]);
    expect(asked).toEqual(routes.map((route) => [route.operationId, wanted(route)]));
  });

  it.each(declared)("%s lets in whom it should, and whom it refuses changes nothing", async (_name, route) => {
    const how = howToAsk[route.operationId]!;
    laterOn();
    const isOpen = permissions[route.permission] === "anyone";
    const asked = await how.ask[0]!(scene);
    const before = await everything();
    for (const { name, key, who, status } of askers) {
      if (isAllowed(who, route.permission)) continue;
      const seen = await ask(api, route, asked, key, how.endless);
      expect([name, seen.status]).toEqual([name, status ?? 403]);
    }
    expect(await everything()).toEqual(before);
    for (const { name, key, who } of askers) {
      if (!isAllowed(who, route.permission)) continue;
      const seen = await ask(api, route, await how.ask[0]!(scene), isOpen ? null : key, how.endless);
      expect([name, seen.status, how.status === seen.status ? "" : seen.text]).toEqual([name, how.status, ""]);
    }
  });
});

describe("an administrator of another project (G31, B112)", () => {
  it.each(declared)(
    "%s answers with nothing of this one, byte for byte as if it were not there",
    async (_name, route) => {
      const how = howToAsk[route.operationId]!;
      laterOn();
      if (permissions[route.permission] === "runner") {
        expect((await ask(api, route, await how.ask[0]!(scene), stranger)).status).toBe(403);
        return;
      }
      if (permissions[route.permission] === "anyone")
        return expectSame(route, await how.ask[0]!(scene), null, how.endless);
      for (const variant of how.ask) {
        const asked = await variant(scene);
        const before = await everything();
        const seen = await ask(api, route, asked, stranger, how.endless);
        if (namesSomething(asked)) {
          const missing = await ask(api, route, forNothing(asked), stranger, how.endless);
          expect({ ...bare(seen), asked }).toEqual({ ...bare(missing), asked });
          expect([asked, [404, 422].includes(seen.status)]).toEqual([asked, true]);
          expect(await everything()).toEqual(before);
        } else {
          expect([asked, seen.status]).toEqual([asked, how.elsewhere ?? how.status]);
          expect(seen.text).not.toContain(scene.projectId);
        }
      }
    },
  );

  it.each(insides())("%s takes nothing of this one into its own", async (_name, operationId, inside) => {
    const route = routes.find((one) => one.operationId === operationId)!;
    laterOn();
    const workflow = (await api.put("/v1/workflows/own?project=elsewhere", { steps: [{ key: "a", script: "x" }] }))
      .json;
    const asked = await inside(scene, workflow.workflowId);
    const seen = await ask(api, route, asked, stranger);
    const missing = await ask(
      api,
      route,
      { ...asked, json: { ...forNothing(asked.json as object), workflow: workflow.workflowId } },
      stranger,
    );
    expect(seen.status).toBeGreaterThanOrEqual(400);
    expect(bare(seen)).toEqual(bare(missing));
  });
});

type Inside = (scene: Scene, workflow: string) => Promise<Asked>;

/** Requests for something of one's own that name something of another project. */
function insides(): readonly (readonly [string, string, Inside])[] {
  const post =
    (path: string, more: (scene: Scene) => Promise<object>): Inside =>
    async (scene, workflow) => ({
      path,
      json: { workflow, ...(await more(scene)) },
    });
  const environment = async (scene: Scene) => ({ environment: await scene.environment() });
  const files = async (scene: Scene) => ({ files: [{ name: "a", sha256: await scene.blob() }] });
  const items = async (scene: Scene) => ({ items: [{ params: {}, ...(await files(scene)) }] });
  const itemsFile = async (scene: Scene) => ({ itemsFile: { sha256: await scene.blob(), format: "csv" } });
  const plain = async () => ({ kind: "interval", intervalMs: 60_000 });
  return [
    ["a job's environment", "createJob", post("/v1/jobs", environment)],
    ["a job's file", "createJob", post("/v1/jobs", files)],
    [
      "a batch's environment",
      "createBatch",
      post("/v1/batches", async (scene) => ({ items: [{}], ...(await environment(scene)) })),
    ],
    ["a batch's file", "createBatch", post("/v1/batches", items)],
    ["a batch's sheet", "createBatch", post("/v1/batches", itemsFile)],
    [
      "a schedule's environment",
      "createSchedule",
      post("/v1/schedules", async (scene) => ({ ...(await plain()), ...(await environment(scene)) })),
    ],
  ];
}

function changes(method: Method): boolean {
  return method !== "get" && method !== "head";
}

/** True if a request names an object, or the project. */
function namesSomething(asked: Asked): boolean {
  return JSON.stringify(forNothing({ ...asked, text: null })) !== JSON.stringify({ ...asked, text: null });
}

/** What a reader can tell two answers apart by, but for what was asked. */
function bare({ status, text, headers }: { status: number; text: string; headers: Headers }) {
  const told = [...headers].filter(([name]) => !["date", "content-length"].includes(name));
  return { status, text: nothingIn(text), headers: nothingIn(JSON.stringify(told)) };
}

/** An open route tells everybody the same. */
async function expectSame(route: Route, asked: Asked, key: string | null, endless?: boolean): Promise<void> {
  const seen = await ask(api, route, asked, key, endless);
  expect((await ask(api, route, asked, stranger, endless)).status).toBe(asked.form ? 400 : seen.status);
}
