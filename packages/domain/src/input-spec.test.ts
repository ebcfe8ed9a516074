import { describe, expect, it } from "@jest/globals";
import { acceptsMime, checkFiles, checkParamsReserved, type InputSpec } from "./input-spec.js";

const open = { title: "", description: "", enabled: true, required: false, maxItems: null };

function spec(uploadFiles: object = {}, urlFiles: object = {}): InputSpec {
  return {
    version: 2,
    paramsSchema: null,
    filesInput: { uploadFiles: { ...open, acceptMime: [], ...uploadFiles }, urlFiles: { ...open, ...urlFiles } },
    examples: [],
  };
}

const csv = { name: "a.csv", mime: "text/csv" };

describe("checkFiles", () => {
  it("has no rules without an inputSpec", () => {
    expect(checkFiles(null, [csv, csv], [1, 2, 3])).toEqual([]);
  });

  it("refuses files of a kind that is switched off", () => {
    const issues = checkFiles(spec({ enabled: false }, { enabled: false }), [csv], ["u"]);
    expect(issues.map((issue) => issue.pointer)).toEqual(["/files", "/urlFiles"]);
  });

  it("wants at least one file where they are required, and not where they are switched off", () => {
    expect(checkFiles(spec({ required: true }), [], []).map((issue) => issue.pointer)).toEqual(["/files"]);
    expect(checkFiles(spec({ required: true, enabled: false }), [], [])).toEqual([]);
  });

  it("counts", () => {
    expect(checkFiles(spec({ maxItems: 1 }, { maxItems: 2 }), [csv, csv], [1, 2])).toEqual([
      { pointer: "/files", message: "must have at most 1 files, got 2" },
    ]);
  });

  it("points at each file of a type that is not accepted", () => {
    const issues = checkFiles(spec({ acceptMime: ["text/csv"] }), [csv, { name: "b.png", mime: "image/png" }], []);
    expect(issues).toEqual([{ pointer: "/files/1", message: "b.png is image/png; accepted are text/csv" }]);
  });
});

describe("acceptsMime", () => {
  it.each([
    [[], "anything/at-all", true],
    [["image/*"], "image/png", true],
    [["image/*"], "IMAGE/PNG", true],
    [["image/*"], "imagex/png", false],
    [["text/csv"], "text/csv; charset=utf-8", true],
    [["text/csv"], "text/plain", false],
    [["*/*"], "x/y", true],
    [["Text/CSV"], "text/csv", true],
  ])("%p lets %p in: %p", (patterns, mime, accepted) => {
    expect(acceptsMime(patterns, mime)).toBe(accepted);
  });
});

describe("checkParamsReserved", () => {
  it("points at the members that Maia fills in", () => {
    const pointers = checkParamsReserved({ files: [], top: 1, upstream: {}, urlFiles: [] }).map(
      (issue) => issue.pointer,
    );
    expect(pointers).toEqual(["/params/files", "/params/upstream", "/params/urlFiles"]);
    expect(checkParamsReserved({ file: 1, nested: { files: 1 } })).toEqual([]);
  });
});
