import { describe, expect, it } from "@jest/globals";
import { unfoldedSize } from "./unfold.js";

const pairs = (levels: number) => {
  const $defs: Record<string, unknown> = { [`d${levels}`]: { type: "string" } };
  for (let i = 0; i < levels; i++)
    $defs[`d${i}`] = { anyOf: [{ $ref: `#/$defs/d${i + 1}` }, { $ref: `#/$defs/d${i + 1}` }] };
  return { $defs, properties: { p: { $ref: "#/$defs/d0" } } };
};

describe("how far a schema unfolds for one value", () => {
  it("is its own size where nothing is referred to", () => {
    expect(unfoldedSize({}, { type: "object", properties: { a: { allOf: [{}, {}] } } })).toBe(1);
    expect(unfoldedSize({}, { allOf: [{}, { anyOf: [{}, true] }], not: {} })).toBe(6);
  });

  it("doubles with every pair of alternatives that lead on (B038)", () => {
    const root = pairs(24);
    expect(unfoldedSize(root, root)).toBe(1);
    expect(unfoldedSize(root, root.properties.p)).toBeGreaterThan(2 ** 24);
    const small = pairs(3);
    expect(unfoldedSize(small, small.properties.p)).toBeLessThan(40);
  });

  it("is endless where a schema leads back to itself for the same value, and finite through a member", () => {
    const loop = { $ref: "#" };
    expect(unfoldedSize(loop, loop)).toBe(Number.POSITIVE_INFINITY);
    const tree = { type: "object", properties: { child: { $ref: "#" } } };
    expect(unfoldedSize(tree, tree)).toBe(1);
  });
});
