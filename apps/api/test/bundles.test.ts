import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { canonicalJson, depsHash, sha256Hex } from "@maia/domain";
import { pin } from "./rows.js";
import { type Answer, openTestApi, type TestApi } from "./support.js";

let api: TestApi;

beforeEach(async () => {
  api = await openTestApi();
});

afterEach(() => api[Symbol.asyncDispose]());

const at = "/v1/workflows/hello";
const put = (script: string, query = "", more: object = {}) =>
  api.put(`${at}${query}`, { name: "hello", steps: [{ key: "a", script }], ...more });
const make = (body: object) => api.post(`${at}/versions`, body);

/** How an answer reads: status, version, and whether jobs get it. */
function brief({ status, json }: Answer): [number, number, boolean] {
  return [status, json.version, json.latest];
}

describe("a bundle", () => {
  const dependencies = { npm: { "left-pad": "^1.0.0" } };
  const lock = '{"npm":{"packages":{}},"version":1}';
  const inputSpec = {
    version: 2,
    paramsSchema: { type: "object", properties: { top: { type: "integer", default: 3 } } },
  };

  async function exported(n = 1) {
    return (await api.get(`${at}/versions/${n}/export`)).json;
  }

  it("is one file with scripts, schema and lock, always of the same bytes", async () => {
    await put("#!x\r\n\ufeff", "?message=Hi", { dependencies, inputSpec });
    const hash = await pin(api, "hello", 1, lock);
    const [first, second] = [await api.get(`${at}/versions/1/export`), await api.get(`${at}/versions/1/export`)];
    expect(first.text).toBe(second.text);
    expect(first.headers.get("content-disposition")).toBe('attachment; filename="hello-v1.maia.json"');
    const { json } = first;
    expect(json).toMatchObject({
      format: "maia.workflow/1",
      workflow: "hello",
      version: 1,
      message: "Hi",
      depsHash: hash,
      depsLock: lock,
    });
    expect(json.workflowSnap.steps[0].script).toBe("#!x\r\n\ufeff");
    expect(json.workflowSnap.inputSpec.paramsSchema).toEqual(inputSpec.paramsSchema);
    expect(json.snapHash).toBe(sha256Hex(canonicalJson(json.workflowSnap)));
  });

  it("is the same version in another project: content, hash and lock", async () => {
    await put("1", "?message=Hi", { dependencies, inputSpec });
    await pin(api, "hello", 1, lock);
    const bundle = await exported();
    await api.post("/v1/projects", { name: "other" });
    const imported = await api.post(`${at}/versions?project=other`, { bundle });
    expect([imported.status, imported.json.snapHash, imported.json.depsHash]).toEqual([
      201,
      bundle.snapHash,
      bundle.depsHash,
    ]);
    const back = (await api.get(`${at}/versions/1/export?project=other`)).json;
    expect(back).toEqual(bundle);
    const again = await api.post(`${at}/versions?project=other`, { bundle });
    expect(brief(again)).toEqual([200, 1, true]);
  });

  it("may come under another name, aside, and with another message", async () => {
    await put("1");
    const bundle = await exported();
    const body = { bundle, latest: false, message: "From afar" };
    const { status, json } = await api.post("/v1/workflows/hallo/versions", body);
    expect([status, json.workflow, json.latest, json.message]).toEqual([201, "hallo", false, "From afar"]);
    expect((await api.get("/v1/workflows/hallo/versions/1")).json.workflowSnap.name).toBe("hallo");
  });

  it("comes under a name that a workflow can have, and no other (B028)", async () => {
    await put("1");
    const bundle = await exported();
    for (const name of ["Bad Name", "..%2Fx", "a".repeat(64), "-x", "__proto__", "a%0Ab"]) {
      const { status, json } = await api.post(`/v1/workflows/${name}/versions`, { bundle });
      expect([name, status, json.code]).toEqual([name, 422, "INVALID"]);
    }
  });

  it("with another lock is another version", async () => {
    await put("1", "", { dependencies });
    const unpinned = await exported();
    await pin(api, "hello", 1, lock);
    expect(brief(await make({ bundle: unpinned }))).toEqual([200, 1, true]);
    const other = '{"version":1,"npm":null}';
    const { dependencies: set } = unpinned.workflowSnap;
    expect(brief(await make({ bundle: { ...unpinned, depsLock: other, depsHash: depsHash(set, other) } }))).toEqual([
      201,
      2,
      true,
    ]);
  });

  it("may be larger than other bodies, for its lock", async () => {
    await put("1", "", { dependencies });
    const bundle = await exported();
    const large = JSON.stringify({ version: 1, npm: { packages: { "": "x".repeat(2 * 1_024 * 1_024) } } });
    const answer = await make({
      bundle: { ...bundle, depsLock: large, depsHash: depsHash(bundle.workflowSnap.dependencies, large) },
    });
    expect(answer.status).toBe(201);
    const huge = "x".repeat(9 * 1_024 * 1_024);
    expect((await make({ bundle: { ...bundle, depsLock: huge } })).status).toBe(413);
  });
});
