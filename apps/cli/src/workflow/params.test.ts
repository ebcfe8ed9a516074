import { describe, expect, it } from "@jest/globals";
import { needsSchema, readParams } from "./params.js";

describe("--param", () => {
  it("reads JSON scalars as what they are, and everything else as text", () => {
    const pairs = ["n=3", "x=-1.5e3", "t=true", "z=null", 'q="3"', "s=hello", "e=", "d=2026-01-01", "v=1.2.3", "a=b=c"];
    expect(readParams(pairs, null)).toEqual({
      n: 3,
      x: -1500,
      t: true,
      z: null,
      q: "3",
      s: "hello",
      e: "",
      d: "2026-01-01",
      v: "1.2.3",
      a: "b=c",
    });
  });

  it("leaves text alone where the workflow wants text", () => {
    const schema = {
      properties: { zip: { type: "string" }, either: { type: ["string", "null"] }, any: true, n: { type: "integer" } },
    };
    expect(readParams(["zip=01234", "either=null", "any=1", "n=7"], schema)).toEqual({
      zip: "01234",
      either: "null",
      any: 1,
      n: 7,
    });
  });

  it("reads lists and objects where the workflow wants one, and only there", () => {
    const schema = { properties: { tags: { type: "array" }, map: { type: "object" } } };
    const pairs = ['tags=["a"]', 'map={"a":1}', "other=[1]"];
    expect(readParams(pairs, schema)).toEqual({ tags: ["a"], map: { a: 1 }, other: "[1]" });
  });

  it("keeps odd names as plain keys", () => {
    expect(Object.keys(readParams(["__proto__=1", "a.b=2", "constructor=3"], null))).toEqual([
      "__proto__",
      "a.b",
      "constructor",
    ]);
    expect(() => readParams(["novalue"], null)).toThrow("it must be NAME=VALUE");
    expect(() => readParams(["=x"], null)).toThrow("NAME=VALUE");
  });

  it("asks for the schema only when a value could be read in two ways", () => {
    expect(needsSchema(["a=hello", "b=x=1"])).toBe(false);
    expect(needsSchema(["a=hello", "b=1"])).toBe(true);
  });
});
