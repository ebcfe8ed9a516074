import { describe, expect, it } from "@jest/globals";
import { graph, refusal, withStep } from "../../test/refusal.js";
import { parseDefinition } from "../definition.js";

describe("the steps of a definition", () => {
  it("are never none, and at most 10,000 (B034)", () => {
    expect(Object.keys(refusal({ name: "a", steps: [] }).issues)).toEqual(["/steps"]);
    expect(Object.keys(refusal({ name: "a" }).issues)).toEqual(["/steps"]);
    const steps = Array.from({ length: 10_001 }, (_, i) => ({ key: `s${i}`, script: "x" }));
    expect(Object.keys(refusal({ name: "a", steps }).issues)).toEqual(["/steps"]);
  });

  it.each([
    ["__proto__", "__proto__"],
    ["constructor", "constructor"],
    ["..", ".."],
    ["a/b", "a/b"],
    ["CON", "CON"],
    ["Parse, which differs from parse in case only", "Parse"],
    ["nothing", ""],
    ["300 characters", "x".repeat(300)],
    ["a number", 5],
    ["null", null],
  ])("have no key such as %s (B035)", (_, key) => {
    expect(refusal(withStep({ key })).issues).toHaveProperty(["/steps/0/key"]);
  });

  it("have keys of their own (B034)", () => {
    expect(refusal(graph("a", "b", "a")).issues).toEqual({ "/steps/2/key": "a is the key of step 0 already" });
  });

  it("wait for other steps that exist, once each (B034)", () => {
    expect(Object.keys(refusal(graph("a: a", "b: nobody", "c: a, a")).issues)).toEqual([
      "/steps/0/deps/0",
      "/steps/1/deps/0",
      "/steps/2/deps/1",
    ]);
  });

  it("never wait for each other in a circle (B034)", () => {
    expect(refusal(graph("start", "a: start, c", "b: a", "c: b", "end: c"))).toEqual({
      code: "CYCLE",
      issues: { "/steps/2/deps/0": "these steps wait for each other: a → c → b → a" },
    });
  });

  it.each([
    ["ten chains of 1,000", "s999", (i: number) => (i % 1_000 === 0 ? [] : [`s${i - 1}`])],
    ["10,000 steps on 8 others each", "s9", (i: number) => (i < 8 ? [] : Array.from({ length: 8 }, (_, k) => `s${k}`))],
  ])("are checked even for %s (B034)", (_, follower, deps) => {
    const steps = Array.from({ length: 10_000 }, (_, i) => ({ key: `s${i}`, script: "x", deps: deps(i) }));
    expect(parseDefinition({ name: "large", steps }).steps).toHaveLength(10_000);
    const circle = [{ ...steps[0], deps: [follower] }, ...steps.slice(1)];
    expect(refusal({ name: "large", steps: circle }).code).toBe("CYCLE");
  });

  it("never wait in a chain of more than 1,000 (B034)", () => {
    const chain = (length: number) =>
      Array.from({ length }, (_, i) => ({ key: `s${i}`, script: "x", deps: i === 0 ? [] : [`s${i - 1}`] }));
    expect(parseDefinition({ name: "long", steps: chain(1_000) }).steps).toHaveLength(1_000);
    expect(refusal({ name: "long", steps: chain(5_000) })).toEqual({
      code: "INVALID",
      issues: { "/steps/1000/deps": "is the end of a chain of more than 1000 steps" },
    });
  });

  it.each([
    ["runtime", "an unknown name", "perl"],
    ["script", "nothing", ""],
    ["script", "more than 1 MiB", "x".repeat(1024 * 1024 + 1)],
    ["script", "NUL", "a\0b"],
    ["script", "a lone surrogate", "a\ud800"],
    ["script", "a number", 5],
    ["timeoutMs", "0", 0],
    ["timeoutMs", "more than 7 days", 604_800_001],
    ["timeoutMs", "a fraction", 1.5],
    ["timeoutMs", "a string", "1000"],
    ["timeoutMs", "infinity", Number.POSITIVE_INFINITY],
    ["name", "a right-to-left override", "a\u202eb"],
    ["rollback", "a string", "yes"],
    ["deps", "a string", "a"],
    ["secrets", "a reserved name", ["PATH"]],
    ["secrets", "a name twice", ["A", "A"]],
  ])("have as %s never %s", (field, _, value) => {
    const [pointer] = Object.keys(refusal(withStep({ [field]: value })).issues);
    expect(pointer).toMatch(new RegExp(`^/steps/0/${field}`));
  });

  it.each(["\ufeffexport default 1", "a\r\nb", "#!/usr/bin/env -S node --x\n1", "/etc/passwd"])(
    "keep a script such as %p as it is (B047)",
    (script) => {
      expect(parseDefinition(withStep({ script })).steps[0]?.script).toBe(script);
    },
  );

  it("retry within bounds", () => {
    const { issues } = refusal(
      withStep({ retry: { maxAttempts: 0, backoffMs: -1, multiplier: 0, maxBackoffMs: -1, jitter: 2, tries: 3 } }),
    );
    expect(Object.keys(issues).toSorted()).toEqual(
      ["backoffMs", "jitter", "maxAttempts", "maxBackoffMs", "multiplier", "tries"].map(
        (field) => `/steps/0/retry/${field}`,
      ),
    );
    expect(refusal(withStep({ retry: { backoffMs: 50, maxBackoffMs: 10 } })).issues).toHaveProperty([
      "/steps/0/retry/maxBackoffMs",
    ]);
    expect(parseDefinition(withStep({ retry: { backoffMs: 60_000 } })).steps[0]?.retry.maxBackoffMs).toBe(60_000);
  });

  it("ask for artifacts of steps that are done before them, by safe names", () => {
    const definition = graph("a", "b: a", "c: b", "d");
    const ask = (step: number, ...artifacts: object[]) => ({
      ...definition,
      steps: definition.steps.map((item, i) => (i === step ? { ...item, artifacts } : item)),
    });
    expect(parseDefinition(ask(2, { from: "a", name: "x/y.csv" })).steps[2]?.artifacts).toHaveLength(1);
    for (const from of ["c", "d", "nobody"]) {
      expect(Object.keys(refusal(ask(2, { from, name: "x" })).issues)).toEqual(["/steps/2/artifacts/0/from"]);
    }
    for (const name of ["../x", "/etc/passwd", "", "a//b"]) {
      expect(Object.keys(refusal(ask(2, { from: "a", name })).issues)).toEqual(["/steps/2/artifacts/0/name"]);
    }
    expect(refusal(ask(2, { from: "a", name: "x" }, { from: "a", name: "x" })).issues).toHaveProperty([
      "/steps/2/artifacts/1",
    ]);
  });
});
