import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import type { Json, JsonObject } from "@maia/domain";
import { openSchemaWorker, type SchemaWorker } from "../src/schema-worker.js";
import { bomb, limits } from "./limits.js";

let worker: SchemaWorker;
beforeEach(() => {
  worker = openSchemaWorker(limits);
});
afterEach(async () => {
  await worker[Symbol.asyncDispose]();
});

async function reasons(schema: JsonObject, value: Json): Promise<string> {
  return (await worker.validate(schema, value)).issues.map(({ message }) => message).join("; ");
}

const unique = { type: "object", properties: { list: { type: "array", uniqueItems: true } } };
const objects = { list: Array.from({ length: 20_000 }, (_, i) => ({ i })) };
const friendly = { type: "object", properties: { top: { type: "integer" } } };

describe("a hostile schema or value (M8)", () => {
  it("that explodes is refused unseen, and the process lives (B038)", async () => {
    const [text] = await Promise.all([reasons(bomb() as JsonObject, {}), reasons(friendly, { top: 1 })]);
    expect(text).toMatch(/unfolds to more than/);
    expect(await reasons(friendly, { top: 1 })).toBe("");
  });

  it("that compares 20,000 objects with each other is stopped", async () => {
    expect(await reasons(unique, objects)).toMatch(/takes longer than 500 ms/);
  });

  it("that takes all memory is stopped", async () => {
    await using patient = openSchemaWorker({ ...limits, validateMs: 60_000 });
    const fails = { allOf: Array.from({ length: 60 }, () => ({ type: "string" })) };
    const schema = { type: "object", properties: { list: { type: "array", items: fails } } };
    const { issues } = await patient.validate(schema, { list: Array.from({ length: 300_000 }, () => 1) });
    expect(issues[0]?.message).toMatch(/too much memory/);
    expect((await patient.validate(friendly, { top: 1 })).issues).toEqual([]);
  });

  it("whose pattern would take for ever elsewhere is answered at once (B041)", async () => {
    const schema = { type: "object", properties: { p: { type: "string", pattern: "^(a|a)*$" } } };
    expect(await reasons(schema, { p: `${"a".repeat(40)}!` })).toMatch(/must match the pattern/);
    expect(await reasons(schema, { p: `${"a".repeat(100_000)}!` })).toMatch(/must match the pattern/);
  });

  it("that nests without end is answered (B043)", async () => {
    const schema = { type: "object", properties: { a: { $ref: "#" } } };
    for (const depth of [100, 7_000, 100_000]) {
      let value: { a?: Json } = {};
      for (let level = 0; level < depth; level++) value = { a: value };
      expect(await reasons(schema, value)).toMatch(depth === 100 ? /^$/ : /^$|nest/);
    }
    expect(await reasons({ type: "object", $ref: "#" }, {})).toMatch(/never ends/);
  });

  it("with $async does not pass for valid", async () => {
    expect(await reasons({ type: "object", $async: true, required: ["x"] }, {})).toMatch(/\$async/);
  });

  it("does not cost the others their answers, twenty times over", async () => {
    await reasons(unique, objects);
    await reasons(friendly, { top: 1 }); // both threads are up now
    const hostile = [1, 2, 3, 4].map(() => reasons(unique, objects));
    for (let i = 0; i < 20; i++) expect(await reasons(friendly, { top: i })).toBe("");
    expect((await Promise.all(hostile)).every((text) => text.includes("longer"))).toBe(true);
  });

  it("does not cost those that wait behind it their answers", async () => {
    const hostile = reasons(unique, objects);
    const waiting = Array.from({ length: 50 }, (_, top) => reasons(friendly, { top }));
    expect(await Promise.all(waiting)).toEqual(waiting.map(() => ""));
    expect(await hostile).toMatch(/longer/);
  });
});

describe("the thread", () => {
  it("keeps several schemas apart that use the same names", async () => {
    const schemas = Array.from({ length: 600 }, (_, i) => ({
      type: "object",
      $defs: { x: { const: i } },
      properties: { p: { $ref: "#/$defs/x" } },
    }));
    for (const [i, schema] of [...schemas, ...schemas].entries()) {
      expect(await reasons(schema, { p: i % schemas.length })).toBe(""); // more than the thread keeps
    }
    expect(await reasons(schemas[3]!, { p: 4 })).toMatch(/must be 3/);
  });

  it("does not keep the process alive", async () => {
    const program = `
      import { openSchemaWorker } from ${JSON.stringify(new URL("../dist/index.js", import.meta.url).href)};
      const worker = openSchemaWorker(${JSON.stringify(limits)});
      console.log((await worker.validate({ type: "object" }, {})).text);`;
    const run = promisify(execFile)(process.execPath, ["--input-type=module", "-e", program], { timeout: 30_000 });
    expect((await run).stdout).toBe("{}\n");
  });

  it("answers those that still wait when it is closed", async () => {
    const waiting = worker.validate(friendly, { top: 1 });
    await worker[Symbol.asyncDispose]();
    await expect(waiting).rejects.toThrow(/closed/);
  });
});
