import { describe, expect, it } from "@jest/globals";
import { resolveOutputs } from "./output-spec.js";

const rule = (stepKey: string, field: string | null) => ({ stepKey, field, title: "", description: "" });

describe("resolveOutputs", () => {
  it("takes a field of a step's data, or the data whole", () => {
    const outputs = { report: rule("sum", "markdown"), all: rule("sum", null) };
    const data = new Map([["sum", { markdown: "# Hi", rows: 3 }]]);
    expect(resolveOutputs({ version: 1, outputs }, data)).toEqual({
      report: "# Hi",
      all: { markdown: "# Hi", rows: 3 },
    });
  });

  it("gives null for what a step did not give, or what every object inherits", () => {
    const outputs = { a: rule("gone", "x"), b: rule("sum", "missing"), c: rule("sum", "toString") };
    expect(resolveOutputs({ version: 1, outputs }, new Map([["sum", {}]]))).toEqual({ a: null, b: null, c: null });
  });

  it("gives nothing where the workflow declares nothing", () => {
    expect(resolveOutputs(null, new Map())).toEqual({});
  });
});
