import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { deleteWorkflow } from "@maia/db";
import { canonicalJson, MaiaError, parseDefinition, sha256Hex } from "@maia/domain";
import { aPlace, count, definition, NOW, type Place, publish, refusal } from "./support.js";

let place: Place;
beforeEach(async () => {
  place = await aPlace();
});
afterEach(async () => {
  await place[Symbol.asyncDispose]();
});

function versionOf(workflowId: string, version: number) {
  return place.db.models.workflowVersion.findFirstOrThrow({ where: { workflowId, version } });
}

describe("a definition", () => {
  it("is published as version 1, frozen with its defaults and named by its hash", async () => {
    const made = await publish(place, "hello");
    expect(made).toMatchObject({ version: 1, created: true, published: true });
    const { workflowSnap, snapHash, depsHash } = await versionOf(made.workflowId, 1);
    expect(workflowSnap).toBe(canonicalJson(parseDefinition({ name: "hello", ...definition() })));
    expect([snapHash, snapHash]).toEqual([made.snapHash, sha256Hex(workflowSnap)]);
    expect(depsHash).toBeNull();
  });

  it("that has not changed makes no version, however it is written", async () => {
    const first = await publish(place, "hello", { env: { A: "1", B: "2" } });
    const again = await publish(place, "hello", { env: { B: "2", A: "1" }, reuse: false, description: "" });
    expect(again).toEqual({ ...first, created: false, published: false, made: false, saved: false });
    expect(await count(place, "WorkflowVersion")).toBe(1);
  });

  it("that has changed makes the next version, and the one before stays as it is (G5)", async () => {
    const first = await publish(place, "hello");
    const second = await publish(place, "hello", { description: "more" });
    expect(second).toMatchObject({ workflowId: first.workflowId, version: 2, created: false, published: true });
    expect((await versionOf(first.workflowId, 1)).snapHash).toBe(first.snapHash);
    expect(await publish(place, "hello")).toMatchObject({ version: 3, snapHash: first.snapHash });
  });

  it("may be saved as a draft alone, and published later", async () => {
    expect(await publish(place, "hello", {}, { publish: false })).toMatchObject({
      version: null,
      created: true,
      published: false,
    });
    expect(await publish(place, "hello")).toMatchObject({ version: 1, created: false, published: true });
    const draft = await publish(place, "hello", { description: "wip" }, { publish: false });
    expect(draft).toMatchObject({ version: 1, published: false });
    const workflow = await place.db.models.workflow.findUniqueOrThrow({ where: { id: draft.workflowId } });
    expect(workflow).toMatchObject({ draftHash: draft.snapHash, description: "wip", latestVersion: 1 });
  });

  it("that many publish at once makes one version for each that differs", async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => publish(place, "hello", { description: `d${i % 2}` })),
    );
    const versions = await place.db.models.workflowVersion.findMany({ orderBy: { version: "asc" } });
    expect(versions.map(({ version }) => version)).toEqual(versions.map((_, i) => i + 1));
    expect(answers.filter(({ created }) => created)).toHaveLength(1);
    expect(await count(place, "Workflow")).toBe(1);
  });

  it("has the name of its address", async () => {
    expect(await refusal(publish(place, "hello", { name: "other" }))).toEqual(["INVALID", "/name"]);
    expect(await refusal(publish(place, "Hello"))).toEqual(["INVALID", "/name"]);
    expect(await publish(place, "hello", { name: "hello" })).toMatchObject({ version: 1 });
  });

  it("has a hash of its dependencies where it has any", async () => {
    const { workflowId } = await publish(place, "deps", { dependencies: { npm: { "csv-parse": "^6.0.0" } } });
    expect((await versionOf(workflowId, 1)).depsHash).toMatch(/^[0-9a-f]{64}$/);
  });

  it("may use the name of a deleted workflow, which then comes back with its versions", async () => {
    const { workflowId } = await publish(place, "hello");
    const workflow = await place.db.models.workflow.findUniqueOrThrow({ where: { id: workflowId } });
    await place.db.write((tx) => deleteWorkflow(tx, workflow, NOW));
    expect(await publish(place, "hello", { description: "new" })).toMatchObject({
      workflowId,
      version: 2,
      created: true,
    });
  });

  it("is not stored when its writer believed in another one", async () => {
    const guard = (current: object | null) => {
      if (current) throw new MaiaError("PRECONDITION", "it is there");
    };
    await publish(place, "hello", {}, { guard });
    expect(await refusal(publish(place, "hello", { description: "x" }, { guard }))).toEqual(["PRECONDITION"]);
    expect(await count(place, "WorkflowVersion")).toBe(1);
  });
});

describe("the params' schema of a definition", () => {
  const at = "/inputSpec/paramsSchema";
  const withSchema = (paramsSchema: object, examples: object[] = []) => ({ inputSpec: { paramsSchema, examples } });

  it.each([
    [
      "refers to another host (B037)",
      { properties: { a: { $ref: "http://127.0.0.1:9/x" } } },
      `${at}/properties/a/$ref`,
    ],
    ["refers to a file (B037)", { properties: { a: { $ref: "file:///etc/passwd" } } }, `${at}/properties/a/$ref`],
    [
      "has a default of a wrong type (B044)",
      { properties: { a: { type: "integer", default: "x" } } },
      `${at}/properties/a/default`,
    ],
    ["is asynchronous", { $async: true }, `${at}/$async`],
    ["has a wrong keyword", { properties: { a: { type: "strin" } } }, `${at}/properties/a/type`],
    ["is too long (B040)", { title: "x".repeat(65_536) }, at],
  ])("is refused when it %s, and nothing is stored", async (_, schema, pointer) => {
    expect(await refusal(publish(place, "hello", withSchema({ type: "object", ...schema })))).toEqual([
      "INVALID",
      pointer,
    ]);
    expect(await count(place, "Workflow")).toBe(0);
  });

  it("is refused in time when it explodes (B038)", async () => {
    const defs: Record<string, unknown> = { d24: { type: "string" } };
    for (let i = 0; i < 24; i++)
      defs[`d${i}`] = { anyOf: [{ $ref: `#/$defs/d${i + 1}` }, { $ref: `#/$defs/d${i + 1}` }] };
    const schema = { type: "object", $defs: defs, allOf: [{ $ref: "#/$defs/d0" }] };
    expect(await refusal(publish(place, "hello", withSchema(schema)))).toEqual(["INVALID", at]);
  });

  it("fits the examples that stand beside it", async () => {
    const schema = { type: "object", properties: { top: { type: "integer" } } };
    const examples = [
      { name: "good", params: { top: 1 } },
      { name: "bad", params: { top: "x" } },
    ];
    expect(await refusal(publish(place, "hello", withSchema(schema, examples)))).toEqual([
      "INVALID",
      "/inputSpec/examples/1/params/top",
    ]);
    expect(await publish(place, "hello", withSchema(schema, examples.slice(0, 1)))).toMatchObject({ version: 1 });
  });

  it("has no reserved members", async () => {
    const schema = { type: "object", properties: { files: {} } };
    expect(await refusal(publish(place, "hello", withSchema(schema)))).toEqual([
      "RESERVED_KEY",
      `${at}/properties/files`,
    ]);
  });
});
