import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { openSchemaWorker, type SchemaWorker } from "../src/schema-worker.js";
import { bomb, limits } from "./limits.js";

let worker: SchemaWorker;
beforeAll(() => {
  worker = openSchemaWorker(limits);
});
afterAll(async () => {
  await worker[Symbol.asyncDispose]();
});

/** The pointers of what is wrong with the schema of one property. */
async function faultsOf(property: unknown): Promise<string[]> {
  const issues = await worker.check({ type: "object", properties: { p: property } });
  return issues.map(({ pointer }) => pointer.replace("/properties/p", "…"));
}

describe("a schema that is fine", () => {
  it.each([
    ["an empty object", { type: "object" }],
    ["the contract's example", { type: "object", properties: { top: { type: "integer", default: 10 } } }],
    ["a recursive one", { type: "object", properties: { child: { $ref: "#" } } }],
    [
      "one with definitions",
      { type: "object", $defs: { a: { type: "string" } }, properties: { x: { $ref: "#/$defs/a" } } },
    ],
    [
      "a name that needs escaping",
      { type: "object", $defs: { "a/b c%": true }, properties: { x: { $ref: "#/$defs/a~1b%20c%25" } } },
    ],
    [
      "draft-07",
      { $schema: "http://json-schema.org/draft-07/schema#", type: "object", properties: { l: { items: [true] } } },
    ],
    [
      "draft 2020-12",
      {
        $schema: "https://json-schema.org/draft/2020-12/schema",
        type: "object",
        properties: { l: { prefixItems: [true] } },
      },
    ],
    [
      "notes",
      {
        type: "object",
        properties: { x: { "x-widget": { any: ["thing"] }, title: "X", examples: [{ $ref: "no reference" }] } },
      },
    ],
    [
      "a property called like a keyword",
      { type: "object", properties: { $ref: { type: "string" }, $async: true, default: true } },
    ],
    ["a format that nobody knows", { type: "object", properties: { x: { type: "string", format: "textarea" } } }],
  ])("passes: %s", async (_, schema) => {
    expect(await worker.check(schema)).toEqual([]);
  });
});

describe("a schema that is refused", () => {
  it.each([
    ["no object", 5, ""],
    ["true", true, ""],
    ["a list", [], ""],
    ["an empty one", {}, "/type"],
    ["for something else than an object", { type: "string" }, "/type"],
    ["another draft", { $schema: "http://json-schema.org/draft-04/schema#", type: "object" }, "/$schema"],
    ["asynchronous", { type: "object", $async: true }, "/$async"],
    ["with a name for others to see", { type: "object", $id: "http://x/y" }, "/$id"],
    ["running in circles", { type: "object", $ref: "#" }, ""],
    ["of a prototype", JSON.parse('{"type":"object","properties":{"__proto__":{}}}'), "/properties/__proto__"],
  ])("is one that is %s", async (_, schema, pointer) => {
    expect((await worker.check(schema)).map((issue) => issue.pointer)).toEqual([pointer]);
  });

  it.each([
    ["$data", { minimum: { $data: "1/other" } }, "…/minimum"],
    ["a custom keyword", { instanceof: "Function" }, "…/instanceof"],
    ["a dynamic reference", { $dynamicRef: "#x" }, "…/$dynamicRef"],
    ["an anchor", { $anchor: "x" }, "…/$anchor"],
    ["a keyword of another draft", { additionalItems: false }, "…/additionalItems"],
    ["a list of items", { items: [true] }, "…/items"],
    ["an unknown type", { type: "strin" }, "…/type"],
    ["an unknown type among others", { type: ["string", "nul"] }, "…/type"],
    ["a wrong limit", { minLength: -1 }, "…/minLength"],
    ["no list of alternatives", { anyOf: {} }, "…/anyOf"],
    ["a reference to nowhere", { $ref: "#/$defs/nobody" }, "…/$ref"],
    ["a broken reference", { $ref: "#/%zz" }, "…/$ref"],
    ["a pattern with look-around", { pattern: "(?=a)b" }, "…/pattern"],
    ["a pattern with a back-reference", { pattern: "(a)\\1" }, "…/pattern"],
    ["no pattern at all", { pattern: "(" }, "…/pattern"],
    ["a property by such a pattern", { patternProperties: { "(?!x)": true } }, "…/patternProperties/(?!x)"],
    ["a default of a wrong type (B044)", { type: "integer", default: "ten" }, "…/default"],
    ["a default that its object refuses (B044)", { type: "object", required: ["a"], default: {} }, "…/default"],
    ["a default that every object hides", { properties: { valueOf: { default: 1 } } }, "…/properties/valueOf/default"],
    ["a default of __proto__ (B044)", { default: JSON.parse('{"__proto__":1}') }, "…/default/__proto__"],
  ])("has %s", async (_, property, pointer) => {
    expect(await faultsOf(property)).toEqual([pointer]);
  });

  it("has a default of 10 MB (B044)", async () => {
    expect((await worker.check({ type: "object", default: { x: "y".repeat(10_000_000) } }))[0]?.message).toMatch(
      /65536 bytes/,
    );
  });

  it("is too deep, too wide or too long, and known to be so at once (B040)", async () => {
    let deep: object = { type: "string" };
    for (let level = 0; level < 5_000; level++) deep = { type: "object", properties: { deep } };
    const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`p${i}`, {}]));
    expect((await worker.check(deep))[0]?.message).toMatch(/deeper than 64/);
    expect((await worker.check({ type: "object", properties: many(20_000) }))[0]?.message).toMatch(/at most/);
    expect((await worker.check({ type: "object", properties: many(3_000) }))[0]?.message).toMatch(/2000 objects/);
    expect((await worker.check({ type: "object", title: "x".repeat(65_536) }))[0]?.message).toMatch(/65536 bytes/);
    expect((await worker.check({ type: "object", title: "ä".repeat(32_800) }))[0]?.message).toMatch(/65536 bytes/);
  });

  it.each(["http", "file"])("refers to %s, and nothing is fetched (B037)", async (scheme) => {
    let requests = 0;
    const sink = createServer((_, response) => {
      requests += 1;
      response.end("{}");
    });
    await new Promise<void>((done) => sink.listen(0, "127.0.0.1", done));
    const { port } = sink.address() as AddressInfo;
    const $ref = scheme === "http" ? `http://127.0.0.1:${port}/schema.json` : "file:///etc/passwd";
    expect(await faultsOf({ $ref })).toEqual(["…/$ref"]);
    await new Promise((done) => sink.close(done));
    expect(requests).toBe(0);
  });

  it("is the one of 1.5 KB that kills a process, and this process lives (B038)", async () => {
    expect(JSON.stringify(bomb()).length).toBeLessThan(1_700);
    expect((await worker.check(bomb()))[0]?.message).toMatch(/unfolds to more than/);
    expect(await worker.check({ type: "object" })).toEqual([]);
  });
});
