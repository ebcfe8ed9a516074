import { describe, expect, it } from "@jest/globals";
import { minimal, refusal } from "../../test/refusal.js";

describe("the environment of a definition", () => {
  it.each([
    ["variable PATH", "PATH", "x"],
    ["variable LD_PRELOAD", "LD_PRELOAD", "x"],
    ["variable NODE_OPTIONS", "NODE_OPTIONS", "x"],
    ["variable MAIA_X", "MAIA_X", "x"],
    ["name with =", "A=B", "x"],
    ["NUL", "A", "x\0y"],
    ["value of 1 MB", "A", "x".repeat(1_000_000)],
    ["number, which a process would not get as one", "A", 8080],
  ])("takes no %s (B046)", (_, name, value) => {
    expect(Object.keys(refusal({ ...minimal, env: { [name]: value } }).issues)).toEqual([`/env/${name}`]);
  });

  it("has at most 256 variables (B046)", () => {
    const env = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`A${i}`, ""]));
    expect(Object.keys(refusal({ ...minimal, env }).issues)).toEqual(["/env"]);
  });
});

describe("the inputSpec of a definition", () => {
  const spec = (inputSpec: object) => ({ ...minimal, inputSpec });

  it("reserves files, upstream and urlFiles", () => {
    const definition = spec({
      paramsSchema: { type: "object", properties: { files: {}, top: {} }, required: ["top", "urlFiles"] },
      examples: [{ name: "a", params: { upstream: 1 } }],
    });
    expect(refusal(definition)).toMatchObject({
      code: "RESERVED_KEY",
      issues: {
        "/inputSpec/paramsSchema/properties/files": expect.any(String),
        "/inputSpec/paramsSchema/required/1": expect.any(String),
        "/inputSpec/examples/0/params/upstream": expect.any(String),
      },
    });
  });

  it("is of version 2, with rules that make sense", () => {
    const definition = spec({
      version: 1,
      fileInputs: {},
      paramsSchema: [],
      filesInput: {
        uploadFiles: { maxItems: 0, acceptMime: ["csv", ".csv", 5], max: 1 },
        urlFiles: { required: "no" },
      },
      examples: [{ params: [] }, { name: "u", urlFiles: [{ url: "file:///etc/passwd" }] }],
    });
    expect(Object.keys(refusal(definition).issues).toSorted()).toEqual([
      "/inputSpec/examples/0/name",
      "/inputSpec/examples/0/params",
      "/inputSpec/examples/1/urlFiles/0/url",
      "/inputSpec/fileInputs",
      "/inputSpec/filesInput/uploadFiles/acceptMime/0",
      "/inputSpec/filesInput/uploadFiles/acceptMime/1",
      "/inputSpec/filesInput/uploadFiles/acceptMime/2",
      "/inputSpec/filesInput/uploadFiles/max",
      "/inputSpec/filesInput/uploadFiles/maxItems",
      "/inputSpec/filesInput/urlFiles/required",
      "/inputSpec/paramsSchema",
      "/inputSpec/version",
    ]);
  });
});

describe("the outputsSpec of a definition", () => {
  it("names steps that exist, and fields that are names", () => {
    const outputs = {
      a: { stepKey: "nobody" },
      b: { stepKey: "say", field: "x y" },
      c: { stepKey: "say", feld: 1 },
      "x-y": { stepKey: "say" },
      constructor: { stepKey: "say" },
    };
    expect(Object.keys(refusal({ ...minimal, outputsSpec: { version: 1, outputs } }).issues).toSorted()).toEqual([
      "/outputsSpec/outputs/a/stepKey",
      "/outputsSpec/outputs/b/field",
      "/outputsSpec/outputs/c/feld",
      "/outputsSpec/outputs/constructor",
      "/outputsSpec/outputs/x-y",
    ]);
  });
});
