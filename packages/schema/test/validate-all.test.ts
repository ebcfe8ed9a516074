import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import type { Json } from "@maia/domain";
import { openSchemaWorker, type SchemaWorker } from "../src/schema-worker.js";
import { limits } from "./limits.js";

let worker: SchemaWorker;
beforeAll(() => {
  worker = openSchemaWorker(limits);
});
afterAll(async () => {
  await worker[Symbol.asyncDispose]();
});

const schema = { type: "object", properties: { n: { type: "integer" }, top: { default: 10 } }, required: ["n"] };

describe("validating many values", () => {
  it("gives each its own verdict, in their order", async () => {
    const values: Json[] = Array.from({ length: 1_001 }, (_, n) => (n % 10 === 0 ? { n: "x" } : { n }));
    const results = await worker.validateAll(schema, values);
    expect(results).toHaveLength(1_001);
    for (const [n, { text, issues }] of results.entries()) {
      if (n % 10 === 0) expect(issues).toEqual([{ pointer: "/n", message: 'must be an integer, got "x"' }]);
      else expect({ issues, value: JSON.parse(text) }).toEqual({ issues: [], value: { n, top: 10 } });
    }
    expect(await worker.validateAll(schema, [])).toEqual([]);
  });

  it("says the same as validating them one by one, whatever their size", async () => {
    const values: Json[] = [{ n: 1 }, { n: 2, long: "x".repeat(300_000) }, 5, { n: 3 }, { m: 1 }];
    const alone = await Promise.all(values.map((value) => worker.validate(schema, value)));
    expect(await worker.validateAll(schema, values)).toEqual(alone.map(({ text, issues }) => ({ text, issues })));
  });

  it("lets one value that takes too long answer for itself alone", async () => {
    const slow = { type: "object", properties: { s: { type: "string", pattern: "^(a|a)*$" } } };
    const values: Json[] = [{ s: "aa" }, { s: `${"a".repeat(40)}!` }, { s: "aaa" }];
    const results = await worker.validateAll(slow, values);
    expect(results.map(({ issues }) => issues.length)).toEqual([0, 1, 0]);
  });

  it("tells every value when the schema itself is refused", async () => {
    const results = await worker.validateAll({ $ref: "https://example.com/x" }, [{}, {}]);
    expect(results.map(({ issues }) => issues[0]?.message)).toEqual(Array(2).fill(expect.stringContaining("refused")));
  });
});
