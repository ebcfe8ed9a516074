import { describe, expect, it } from "@jest/globals";
import { ago, bytes, cut, duration, plain } from "./format.js";

describe("formatting", () => {
  it("writes lengths of time for people", () => {
    expect([0, 449, 59_900, 59_960, 65_000, 3_599_600, 7_380_000, -5].map(duration)).toEqual([
      "0.0s",
      "0.4s",
      "59.9s",
      "1m00s",
      "1m05s",
      "1h00m",
      "2h03m",
      "0.0s",
    ]);
    const now = new Date("2026-01-02T00:00:00Z");
    expect(["2026-01-01T23:59:55Z", "2026-01-01T23:00:00Z", "2025-12-30T00:00:00Z"].map((at) => ago(at, now))).toEqual([
      "5s ago",
      "1h ago",
      "3d ago",
    ]);
    expect([0, 999, 1_200, 45_600_000].map(bytes)).toEqual(["0 B", "999 B", "1.2 KB", "46 MB"]);
  });

  it("takes out of foreign text what could drive a terminal", () => {
    expect(plain("\u001b[31mred\u001b[0m \u001b]0;title\u0007a\r\n\tb\u2028c")).toBe("red a ·   b · c");
    expect(plain("\u001b]8;;http://x\u0007link\u001b]8;;\u0007")).toBe("link");
    expect(plain("\u001b\u001b[\u0000\u0008x")).not.toMatch(/[\u0000-\u001f]/);
  });

  it("cuts by columns, not by characters", () => {
    expect(cut("hello", 5)).toBe("hello");
    expect(cut("hello!", 5)).toBe("hell…");
    expect(cut("日本語テキスト", 6)).toBe("日本…");
    expect(cut("👩‍👩‍👧x", 2)).toBe("…");
    expect(cut("abc", 0)).toBe("");
  });
});
