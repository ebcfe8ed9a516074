import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import type { Json, JsonObject } from "@maia/domain";
import { openSchemaWorker, type SchemaWorker } from "../src/schema-worker.js";
import { limits } from "./limits.js";

let worker: SchemaWorker;
beforeAll(() => {
  worker = openSchemaWorker(limits);
});
afterAll(async () => {
  await worker[Symbol.asyncDispose]();
});

const params = {
  type: "object",
  properties: {
    top: { type: "integer", minimum: 1, default: 10 },
    name: { type: "string", minLength: 2, pattern: "^[a-z]+$" },
    mode: { enum: ["fast", "slow"] },
    day: { type: "string", format: "date" },
    size: { anyOf: [{ type: "integer" }, { type: "null" }] },
    tags: { type: "array", items: { type: "string" }, maxItems: 2, uniqueItems: true },
    style: { type: "object", properties: { colour: { type: "string", default: "blue" } }, default: {} },
  },
  required: ["name"],
  additionalProperties: false,
};

async function messages(schema: JsonObject, value: Json): Promise<Record<string, string>> {
  const { issues } = await worker.validate(schema, value);
  return Object.fromEntries(issues.map(({ pointer, message }) => [pointer, message]));
}

describe("params that fit their schema", () => {
  it("come back with every default filled in", async () => {
    const { value, text, issues } = await worker.validate(params, { name: "ada" });
    expect(issues).toEqual([]);
    expect(value).toEqual({ name: "ada", top: 10, style: { colour: "blue" } });
    expect(JSON.parse(text)).toEqual(value);
  });

  it("are not touched when they are refused, and the caller's own value never is", async () => {
    const given = { name: "ada", extra: 1 };
    expect((await worker.validate(params, given)).value).toBe(given);
    await worker.validate(params, { name: "ada" });
    expect(given).toEqual({ name: "ada", extra: 1 });
  });

  it("may have members that look like something every object inherits", async () => {
    const schema = { type: "object", required: ["toString"], properties: { valueOf: { type: "integer" } } };
    expect(await messages(schema, {})).toEqual({ "/toString": "is required" });
    expect((await worker.validate(schema, { toString: 1 })).value).toMatchObject({ toString: 1 });
  });
});

describe("params that do not fit", () => {
  it("are told why, each at its place", async () => {
    const value = { top: "abc", name: "A", mode: "warp", day: "tomorrow", size: "big", tags: ["a", "a", 5], extra: 1 };
    expect(await messages(params, value)).toEqual({
      "/top": 'must be an integer, got "abc"',
      "/name": 'must match the pattern ^[a-z]+$, got "A"',
      "/mode": 'must be one of "fast", "slow", got "warp"',
      "/day": 'must be a valid date, got "tomorrow"',
      "/size": 'fits none of the kinds that are allowed: must be an integer, got "big"; or must be null, got "big"',
      "/tags": "must not hold the same item twice: 0 and 1",
      "/tags/2": "must be a string, got 5",
      "/extra": "is not a known field",
    });
    expect(await messages(params, {})).toEqual({ "/name": "is required" });
    expect(await messages(params, { name: "ada", top: 0 })).toEqual({ "/top": "must be at least 1, got 0" });
  });

  it.each<[JsonObject, Json, string]>([
    [{ maximum: 3 }, 4, "must be at most 3, got 4"],
    [{ exclusiveMinimum: 3 }, 3, "must be more than 3, got 3"],
    [{ exclusiveMaximum: 3 }, 3, "must be less than 3, got 3"],
    [{ multipleOf: 5 }, 3, "must be a multiple of 5, got 3"],
    [{ minLength: 2 }, "x", 'must have at least 2 characters, got "x"'],
    [{ maxLength: 1 }, "xy", 'must have at most 1 character, got "xy"'],
    [{ minItems: 1 }, [], "must have at least 1 item"],
    [{ maxItems: 1 }, [1, 2], "must have at most 1 item"],
    [{ minProperties: 1 }, {}, "must have at least 1 member"],
    [{ maxProperties: 0 }, { a: 1 }, "must have at most 0 members"],
    [{ const: { a: 1 } }, 2, 'must be {"a":1}, got 2'],
    [{ contains: { type: "null" } }, [1], "must hold at least 1 item of the kind that is asked for"],
    [{ not: { type: "null" } }, null, "is of a kind that is not allowed"],
    [{ type: ["integer", "null", "array"] }, true, "must be an integer or null or a list, got true"],
    [
      { oneOf: [{ type: "integer" }, { minimum: 1 }] },
      2,
      "fits more than one of the kinds of which it must be exactly one",
    ],
  ])("by %j get %j back as: %s", async (property, value, message) => {
    expect(Object.values(await messages({ type: "object", properties: { p: property } }, { p: value }))).toEqual([
      message,
    ]);
  });

  it.each<[JsonObject, JsonObject, Record<string, string>]>([
    [{ dependentRequired: { a: ["b"] } }, { a: 1 }, { "/b": "is required when a is given" }],
    [{ propertyNames: { maxLength: 1 } }, { ab: 1 }, { "/ab": 'the name must have at most 1 character, got "ab"' }],
    [{ unevaluatedProperties: false }, { "a/b": 1 }, { "/a~1b": "is not a known field" }],
    [{ properties: { a: false } }, { a: 1 }, { "/a": "is not allowed" }],
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
    [{ if: { required: ["a"] }, then: { required: ["b"] } }, { a: 1 }, { "/b": "is required" }],
  ])("by %j find %j refused at %j", async (rules, value, expected) => {
    expect(await messages({ type: "object", ...rules }, value)).toEqual(expected);
  });

  it("get at most 100 reasons", async () => {
    const schema = { type: "object", properties: { list: { type: "array", items: { type: "string" } } } };
    expect((await worker.validate(schema, { list: Array.from({ length: 5_000 }, () => 1) })).issues).toHaveLength(100);
  });

  it("get one when their schema itself is not acceptable", async () => {
    expect(await messages({ type: "object", $async: true }, {})).toEqual({ "": expect.stringMatching(/\$async/) });
  });
});
