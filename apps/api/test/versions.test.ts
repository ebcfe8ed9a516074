import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { applyPatch } from "diff";
import { pin } from "./rows.js";
import { type Answer, openTestApi, type TestApi } from "./support.js";

let api: TestApi;

beforeEach(async () => {
  api = await openTestApi();
});

afterEach(() => api[Symbol.asyncDispose]());

const at = "/v1/workflows/hello";
const definition = (script: string, more: object = {}) => ({ name: "hello", steps: [{ key: "a", script }], ...more });
const put = (script: string, query = "", more: object = {}) => api.put(`${at}${query}`, definition(script, more));
const make = (body: object, headers: Record<string, string> = {}) => api.post(`${at}/versions`, body, { headers });
const promote = (n: number, query = "") => api.post(`${at}/versions/${n}/promote${query}`);
const workflow = async () => (await api.get(at)).json;
const scriptOf = async (n: number) => (await api.get(`${at}/versions/${n}`)).json.workflowSnap.steps[0].script;

/** How an answer reads: status, version, and whether jobs get it. */
function brief({ status, json }: Answer): [number, number, boolean] {
  return [status, json.version, json.latest];
}

/** Which version a new job gets. */
async function versionOfJob(more: object = {}): Promise<number> {
  return (await api.post("/v1/jobs", { workflow: "hello", ...more })).json.version;
}

describe("the history of a workflow", () => {
  it("says who made each version, when, why, and which of them jobs get", async () => {
    await put("1", "?message=The%20first");
    await put("2");
    await put("3", "?publish=false");
    const third = await make({ message: "Now with three" });
    expect(brief(third)).toEqual([201, 3, true]);
    expect(third.headers.get("location")).toBe(`/v1/workflows/${third.json.workflowId}/versions/3`);
    const { items } = (await api.get(`${at}/versions`)).json;
    expect(
      items.map((v: { version: number; message: string; latest: boolean }) => [v.version, v.message, v.latest]),
    ).toEqual([
      [3, "Now with three", true],
      [2, "", false],
      [1, "The first", false],
    ]);
    expect(items[0]).toMatchObject({ createdBy: expect.stringMatching(/./), createdAt: api.now.toISOString() });
    expect(brief(await make({ message: "Nothing new" }))).toEqual([200, 3, true]);
  });

  it("is searched by a part of its messages", async () => {
    for (const [script, message] of [
      ["1", "First 10 %"],
      ["2", "second"],
      ["3", "The SECOND again"],
    ]) {
      await put(script!, `?message=${encodeURIComponent(message!)}`);
    }
    const found = async (query: string) =>
      (await api.get(`${at}/versions?${query}`)).json.items.map(({ version }: { version: number }) => version);
    expect(await found("q=second")).toEqual([3, 2]);
    expect(await found("q=second&limit=1")).toEqual([3]);
    expect(await found("q=%25")).toEqual([1]);
    expect(await found("q=fourth")).toEqual([]);
  });
});

describe("a version whose stored snapshot was damaged", () => {
  it("answers with a code of its own wherever it is needed, logged once each, and hides nothing else", async () => {
    await put("1");
    await put("2");
    await api.db.write(({ sql }) =>
      sql.run(`UPDATE "WorkflowVersion" SET "workflowSnap" = substr("workflowSnap", 1, 20) WHERE "version" = 1`),
    );
    const asked = [
      () => api.get(`${at}/versions/1`),
      () => api.get(`${at}/versions/1/export`),
      () => api.get(`${at}/versions/2/diff`),
      () => promote(1),
      () => api.post("/v1/jobs", { workflow: "hello", version: 1 }),
    ];
    for (const ask of asked) {
      const before = api.logged.length;
      const { status, json } = await ask();
      expect([status, json.code, json.detail]).toEqual([500, "VERSION_CORRUPT", expect.stringContaining("backup")]);
      const errors = api.logged.slice(before).filter(({ level }) => level === "error");
      expect(errors).toHaveLength(1);
    }
    expect((await api.get(`${at}/versions`)).json.items).toHaveLength(2);
    expect(await versionOfJob()).toBe(2);
  });
});

describe("a version that is made aside", () => {
  it("is what only jobs get that name it, and leaves draft and latest as they are", async () => {
    await put("1");
    const aside = await make({ definition: definition("try"), latest: false });
    expect(brief(aside)).toEqual([201, 2, false]);
    expect(await workflow()).toMatchObject({ latestVersion: 1, hasUnpublishedChanges: false });
    expect([await versionOfJob(), await versionOfJob({ version: 2 })]).toEqual([1, 2]);
  });

  it("is made once, however often it is asked for", async () => {
    await put("1");
    const again = () => make({ definition: definition("try"), latest: false });
    expect([brief(await again()), brief(await again())]).toEqual([
      [201, 2, false],
      [200, 2, false],
    ]);
    expect(brief(await make({ definition: definition("1"), latest: false }))).toEqual([200, 1, true]);
  });

  it("needs no workflow to be there, and publishes none", async () => {
    expect(brief(await make({ definition: definition("try"), latest: false }))).toEqual([201, 1, false]);
    expect(await workflow()).toMatchObject({ latestVersion: null, hasUnpublishedChanges: true });
    const job = await api.post("/v1/jobs", { workflow: "hello" });
    expect([job.status, job.json.code]).toEqual([409, "NO_VERSION"]);
    expect(await versionOfJob({ version: 1 })).toBe(1);
  });

  it("becomes the latest itself when the same is published, or when it is promoted", async () => {
    await put("1");
    await make({ definition: definition("2"), latest: false });
    const published = await put("2");
    expect(published.json).toMatchObject({ version: 2, published: true });
    await make({ definition: definition("3"), latest: false });
    expect(brief(await promote(3))).toEqual([200, 3, true]);
    expect(await versionOfJob()).toBe(3);
  });
});

describe("a promoted version", () => {
  it("comes back as a new one with its content, and nothing of the history changes", async () => {
    await put("1", "?message=Good");
    await put("2");
    const answer = await promote(1);
    expect(brief(answer)).toEqual([201, 3, true]);
    expect(answer.json.message).toBe("Restored from v1: Good");
    expect([await scriptOf(1), await scriptOf(2), await scriptOf(3)]).toEqual(["1", "2", "1"]);
    expect(await versionOfJob()).toBe(3);
    expect(await workflow()).toMatchObject({ latestVersion: 3, hasUnpublishedChanges: false });
    expect((await workflow()).definition.steps[0].script).toBe("1");
  });

  it("brings its lock with it", async () => {
    const dependencies = { npm: { "left-pad": "^1.0.0" } };
    await put("1", "", { dependencies });
    const hash = await pin(api, "hello", 1, '{"npm":1}');
    await put("2", "", { dependencies });
    expect((await promote(1)).json).toMatchObject({ version: 3, depsHash: hash });
  });

  it("leaves a draft alone that has changes of its own", async () => {
    await put("1");
    await put("2");
    await put("work in progress", "?publish=false");
    await promote(1, "?message=Back");
    expect(await workflow()).toMatchObject({ latestVersion: 3, hasUnpublishedChanges: true });
    expect((await workflow()).definition.steps[0].script).toBe("work in progress");
    expect((await api.get(`${at}/versions/3`)).json.message).toBe("Back");
  });

  it("that is the latest changes nothing, and a repeated request makes one version (G2)", async () => {
    await put("1");
    expect(brief(await promote(1))).toEqual([200, 1, true]);
    await put("2");
    const once = () => api.post(`${at}/versions/1/promote`, undefined, { headers: { "Idempotency-Key": "k" } });
    const twins = await Promise.all([once(), once(), once()]);
    expect(twins.map(brief)).toEqual(Array(3).fill([201, 3, true]));
    expect(twins.filter(({ headers }) => headers.has("idempotent-replayed"))).toHaveLength(2);
  });
});

describe("the difference of two versions", () => {
  it("names what has changed by pointer, and shows scripts as a patch", async () => {
    await put("one\ntwo\n", "", { env: { A: "1", B: "2" } });
    await put("one\n2\n", "", { env: { A: "1", C: "3" }, description: "More" });
    const { json } = await api.get(`${at}/versions/2/diff`);
    expect(json).toMatchObject({ workflow: "hello", from: { version: 1 }, to: { version: 2 }, same: false });
    const patch = json.changes.find(({ pointer }) => pointer === "/steps/0/script")!.patch!;
    expect(applyPatch("one\ntwo\n", patch)).toBe("one\n2\n");
    expect(json.changes).toEqual([
      { op: "replace", pointer: "/description", from: "", to: "More" },
      { op: "remove", pointer: "/env/B", value: "2" },
      { op: "add", pointer: "/env/C", value: "3" },
      { op: "replace", pointer: "/steps/0/script", stepKey: "a", patch },
    ]);
  });

  it("is taken from the version before, another one, the latest, or the draft", async () => {
    await put("1");
    await put("2");
    await put("3", "?publish=false");
    const from = async (n: number, query = "") => {
      const { json } = await api.get(`${at}/versions/${n}/diff${query}`);
      return [json.from?.version, json.same, json.changes.map(({ op, from, to }) => [op, from, to])];
    };
    expect(await from(2)).toEqual([1, false, [["replace", "1", "2"]]]);
    expect(await from(1, "?against=2")).toEqual([2, false, [["replace", "2", "1"]]]);
    expect(await from(1, "?against=latest")).toEqual([2, false, [["replace", "2", "1"]]]);
    expect(await from(2, "?against=2")).toEqual([2, true, []]);
    expect(await from(2, "?against=draft")).toEqual([null, false, [["replace", "3", "2"]]]);
    expect((await api.get(`${at}/versions/1/diff`)).json).toMatchObject({
      from: null,
      changes: [{ op: "add", pointer: "" }],
    });
  });

  it("is one of dependencies too, where only their lock differs", async () => {
    const dependencies = { npm: { "left-pad": "^1.0.0" } };
    await put("1", "", { dependencies });
    await pin(api, "hello", 1, '{"npm":1}');
    await put("2", "", { dependencies });
    await put("1", "", { dependencies });
    const { json } = await api.get(`${at}/versions/3/diff?against=1`);
    expect([json.same, json.changes, json.from.depsHash === json.to.depsHash]).toEqual([false, [], false]);
  });
});

describe("who may change versions", () => {
  it("is an editor; others read, compare and export", async () => {
    await put("1");
    const bundle = (await api.get(`${at}/versions/1/export`)).json;
    const [viewer, operator, editor] = [
      await api.keyOf("viewer"),
      await api.keyOf("operator"),
      await api.keyOf("editor"),
    ];
    for (const key of [viewer, operator]) {
      expect((await api.post(`${at}/versions`, { bundle }, { key })).status).toBe(403);
      expect((await api.post(`${at}/versions/1/promote`, undefined, { key })).status).toBe(403);
      for (const path of ["diff", "export"])
        expect((await api.get(`${at}/versions/1/${path}`, { key })).status).toBe(200);
    }
    expect((await api.post(`${at}/versions`, { bundle }, { key: editor })).status).toBe(200);
    const actions = (await api.db.models.auditEvent.findMany()).map(({ action }) => action);
    expect(actions.filter((action) => action.startsWith("version."))).toEqual([]);
    await api.post(`${at}/versions`, { definition: definition("2") }, { key: editor });
    await api.post(`${at}/versions/1/promote`, undefined, { key: editor });
    const after = (await api.db.models.auditEvent.findMany()).map(({ action }) => action);
    expect(after.filter((action) => action.startsWith("version."))).toEqual(["version.create", "version.promote"]);
  });
});
