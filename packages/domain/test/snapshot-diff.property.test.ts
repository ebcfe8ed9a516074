import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { canonicalJson, diffSnapshots, parseDefinition, type WorkflowSnapshot } from "../src/index.js";

const definitions = fc
  .record({
    description: fc.constantFrom("", "one", "two"),
    env: fc.dictionary(fc.constantFrom("A", "B", "C"), fc.constantFrom("1", "2")),
    reuse: fc.boolean(),
    outputsSpec: fc.constantFrom(null, { version: 1, outputs: {} }),
    inputSpec: fc.constantFrom(null, {
      version: 2,
      paramsSchema: { type: "object", properties: { "a/b~c": { type: "string" } } },
    }),
    steps: fc.uniqueArray(
      fc.record({
        key: fc.constantFrom("a", "b", "c", "d"),
        script: fc.constantFrom("x", "y\nz"),
        timeoutMs: fc.constantFrom(1_000, 2_000),
      }),
      {
        selector: ({ key }) => key,
        minLength: 1,
      },
    ),
  })
  .map(
    ({ outputsSpec, inputSpec, ...rest }): WorkflowSnapshot =>
      parseDefinition({ name: "w", ...rest, ...(outputsSpec && { outputsSpec }), ...(inputSpec && { inputSpec }) }),
  );

function at(document: unknown, pointer: string): unknown {
  const parts = pointer
    .split("/")
    .slice(1)
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
  return parts.reduce((value, part) => (value as Record<string, unknown>)[part], document);
}

describe("the difference of two snapshots", () => {
  it("is nothing exactly where they have the same content", () => {
    fc.assert(
      fc.property(definitions, definitions, (from, to) => {
        expect(diffSnapshots(from, from)).toEqual([]);
        expect(diffSnapshots(from, to).length === 0).toBe(canonicalJson(from) === canonicalJson(to));
      }),
    );
  });

  it("points at what it names, in the later one or, where it is gone, in the earlier one", () => {
    fc.assert(
      fc.property(definitions, definitions, (from, to) => {
        for (const change of diffSnapshots(from, to)) {
          if (change.op === "add") expect(at(to, change.pointer)).toEqual(change.value);
          if (change.op === "remove") expect(at(from, change.pointer)).toEqual(change.value);
          if (change.op === "replace") expect(at(to, change.pointer)).toEqual(change.to);
          const { stepKey } = change;
          if (stepKey) expect([...from.steps, ...to.steps].map(({ key }) => key)).toContain(stepKey);
        }
      }),
    );
  });

  it("turns round with its sides", () => {
    fc.assert(
      fc.property(definitions, definitions, (from, to) => {
        const ops = (changes: ReturnType<typeof diffSnapshots>) => changes.map(({ op }) => op).sort();
        const turned = { add: "remove", remove: "add", replace: "replace", reorder: "reorder" } as const;
        expect(
          diffSnapshots(to, from)
            .map(({ op }) => turned[op])
            .sort(),
        ).toEqual(ops(diffSnapshots(from, to)));
      }),
    );
  });

  it("knows steps by their keys, wherever they stand", () => {
    const steps = (...keys: string[]) =>
      parseDefinition({ name: "w", steps: keys.map((key) => ({ key, script: key })) });
    expect(diffSnapshots(steps("a", "b", "c"), steps("c", "a"))).toMatchObject([
      { op: "remove", pointer: "/steps/1", stepKey: "b" },
      { op: "reorder", pointer: "/steps", from: ["a", "c"], to: ["c", "a"] },
    ]);
    expect(diffSnapshots(steps("a", "c"), steps("a", "b", "c"))).toMatchObject([
      { op: "add", pointer: "/steps/1", stepKey: "b" },
    ]);
  });
});
