import { describe, expect, it } from "@jest/globals";
import { parseDefinition } from "@maia/domain";
import { applyPatch } from "diff";
import fc from "fast-check";
import { type ShownChange, showChanges } from "../src/version-diff.js";

const withScript = (script: string) => parseDefinition({ name: "w", steps: [{ key: "a", script }] });
const changeOf = (from: string, to: string) =>
  showChanges(withScript(from), withScript(to)) as [ShownChange & { patch: string }];
const lines = (length: number, word: string) => Array.from({ length }, (_, i) => `${word} ${i}`).join("\n");

describe("the difference of two texts", () => {
  it("is a unified patch that makes one from the other", () => {
    const text = fc
      .array(fc.constantFrom("a", "b", "c", "", "-x", "+y", "@@ -1 +1 @@", "\r"), { minLength: 2 })
      .map((all) => all.join("\n"));
    fc.assert(
      fc.property(text, text, (from, to) => {
        fc.pre(from !== to && from.trim() !== "" && to.trim() !== "");
        const [change] = changeOf(from, to);
        expect(change).toMatchObject({ op: "replace", pointer: "/steps/0/script", stepKey: "a" });
        expect(applyPatch(from, change.patch, { autoConvertLineEndings: false })).toBe(to);
      }),
    );
  });

  it("reads as people know it", () => {
    expect(changeOf("one\ntwo\nthree\n", "one\n2\nthree\n")[0].patch).toBe(
      "--- a/steps/0/script\n+++ b/steps/0/script\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n",
    );
  });

  it("is both texts where they are too long or have too little in common", () => {
    const [far] = changeOf(lines(2_000, "was"), lines(2_000, "is"));
    const [long] = changeOf(lines(50_000, "was"), `${lines(50_000, "was")}\nmore`);
    for (const change of [far, long])
      expect(change).toMatchObject({ from: expect.any(String), to: expect.any(String) });
    expect(changeOf("one", "two")).toEqual([
      { op: "replace", pointer: "/steps/0/script", stepKey: "a", from: "one", to: "two" },
    ]);
  });
});
