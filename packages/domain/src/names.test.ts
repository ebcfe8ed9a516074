import { describe, expect, it } from "@jest/globals";
import {
  addressNameProblem,
  artifactNameProblem,
  fileNameProblem,
  isSlug,
  isStepKey,
  nameProblem,
  textProblem,
  variableNameProblem,
  variableValueProblem,
} from "./names.js";

describe("names", () => {
  it.each([
    ["NUL", "a\0b"],
    ["CR", "a\rb"],
    ["LF", "a\nb"],
    ["ESC", "a\u001bb"],
    ["a line separator", "a\u2028b"],
    ["a right-to-left override", "a\u202eb"],
    ["a zero-width space", "a\u200bb"],
    ["a lone surrogate", "a\ud800b"],
    ["10,000 characters", "a".repeat(10_000)],
    ["nothing", ""],
    ["spaces only", "   "],
    ["a space at its end", "a "],
    ["a decomposed letter", "e\u0301"],
  ])("hold no %s (B028)", (_, text) => {
    expect(nameProblem(text, 200)).not.toBeNull();
    expect(isSlug(text)).toBe(false);
    expect(isStepKey(text)).toBe(false);
  });

  it("are more than dots where an address holds them", () => {
    for (const name of [".", "..", ""]) expect(addressNameProblem(name, 200)).not.toBeNull();
    for (const name of ["...", "a.b", ".env"]) expect(addressNameProblem(name, 200)).toBeNull();
  });

  it.each(["Nightly report", "Übersicht 2026", "日報", "a", "x".repeat(60)])("may be %p", (text) => {
    expect(nameProblem(text, 200)).toBeNull();
  });

  it("of workflows are slugs", () => {
    for (const slug of ["a", "csv-report", "0", "a-", "x".repeat(63)]) expect(isSlug(slug)).toBe(true);
    for (const slug of ["", "-a", "A", "a_b", "a.b", "ä", "x".repeat(64), "a\n"]) expect(isSlug(slug)).toBe(false);
  });

  it.each(["__proto__", "constructor", "prototype", "..", "a/b", "CON", "Parse", "long".repeat(16), "-a", ""])(
    "of steps are never %p (B035)",
    (key) => {
      expect(isStepKey(key)).toBe(false);
    },
  );

  it.each(["parse", "a_b-c", "_x", "0", "x".repeat(63)])("of steps may be %p", (key) => {
    expect(isStepKey(key)).toBe(true);
  });

  it.each(["../x", "a/b", "..", ".", "a\\b", "", " ", "a\u202egnp.exe", "a\nb"])(
    "of input files are never %p",
    (name) => {
      expect(fileNameProblem(name)).not.toBeNull();
    },
  );

  it.each(["data.csv", "Größe.txt", "Gro\u0308ße.txt", "می\u200cخواهم.csv", "a b (1).csv", ".env"])(
    "of input files may be %p",
    (name) => {
      expect(fileNameProblem(name)).toBeNull();
    },
  );

  it.each(["", "/a", "a/", "a//b", "a/../b", "./a", "a\\b", "a\0", "a\ud800"])("of artifacts are never %p", (name) => {
    expect(artifactNameProblem(name)).not.toBeNull();
  });

  it.each(["report.md", "charts/2026/sales.png", "a b"])("of artifacts may be %p", (name) => {
    expect(artifactNameProblem(name)).toBeNull();
  });
});

describe("descriptions", () => {
  it("may have lines and tabs, but no other control characters", () => {
    expect(textProblem("one\n\ttwo\r\n", 100)).toBeNull();
    for (const text of ["a\0", "a\u001b[31m", "\ud800", "x".repeat(101)]) expect(textProblem(text, 100)).not.toBeNull();
  });
});

describe("environment variables", () => {
  it.each(["PATH", "HOME", "LD_PRELOAD", "LD_LIBRARY_PATH", "NODE_OPTIONS", "PYTHONSTARTUP", "BASH_ENV", "MAIA_X"])(
    "may not be %p, which is reserved (B046)",
    (name) => {
      expect(variableNameProblem(name)).toMatch(/reserved/);
    },
  );

  it.each(["A=B", "", "1A", "A-B", "A\0", "A B"])("may not be called %p (B046)", (name) => {
    expect(variableNameProblem(name)).not.toBeNull();
  });

  it("hold at most 32 KiB, and no NUL (B046)", () => {
    expect(variableValueProblem("x".repeat(32_768))).toBeNull();
    expect(variableValueProblem("ä".repeat(16_385))).not.toBeNull();
    expect(variableValueProblem("a\0b")).not.toBeNull();
  });
});

describe("the longest name", () => {
  it("of each kind is known", () => {
    const x = (length: number) => "x".repeat(length);
    expect([isSlug(x(64)), isStepKey(x(64))]).toEqual([false, false]);
    expect([fileNameProblem(x(255)), artifactNameProblem(x(255)), variableNameProblem(x(128))]).toEqual([
      null,
      null,
      null,
    ]);
    for (const problem of [fileNameProblem(x(256)), artifactNameProblem(x(256)), variableNameProblem(x(129))]) {
      expect(problem).toMatch(/at most/);
    }
  });
});
