import { describe, expect, it } from "@jest/globals";
import { tamed } from "./batch-results.js";

describe("a cell of the results", () => {
  it.each(["=1+1", "=cmd|' /C calc'!A0", "+1 800 555", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "-", "+", "-5 €"])(
    "is not carried out as a formula: %j",
    (cell) => {
      expect(tamed(cell)).toBe(`'${cell}`);
    },
  );

  it.each(["", "5", "-5", "+5", "-1.5e-3", "text", " =1", "a=b", "'=1", "1-2", '{"a":1}'])(
    "stays as it is: %j",
    (cell) => {
      expect(tamed(cell)).toBe(cell);
    },
  );
});
