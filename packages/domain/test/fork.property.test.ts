import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import {
  aloneProblem,
  aloneWith,
  type ForkStep,
  forkProblem,
  type RunStepStatus,
  stepsBefore,
  stepsToReuse,
  type WorkflowSnapshot,
} from "../src/index.js";

const SIZE = 8;

/** A graph of steps as a run that ended may have left it: whatever waits for a step that did not succeed did not either. */
const forks: fc.Arbitrary<{ steps: ForkStep[]; from: string }> = fc
  .record({
    deps: fc.array(fc.nat(2 ** SIZE - 1), { minLength: SIZE, maxLength: SIZE }),
    groups: fc.array(fc.constantFrom(null, null, "t", "u"), { minLength: SIZE, maxLength: SIZE }),
    statuses: fc.array(fc.constantFrom<RunStepStatus>("SUCCEEDED", "SUCCEEDED", "SUCCEEDED", "FAILED", "CANCELED"), {
      minLength: SIZE,
      maxLength: SIZE,
    }),
    from: fc.nat(SIZE - 1),
    rollback: fc.boolean(),
  })
  .map(({ deps, groups, statuses, from, rollback }) => {
    const steps: ForkStep[] = [];
    for (let i = 0; i < SIZE; i++) {
      const before = steps.filter((_, k) => (deps[i]! >> k) & 1);
      const status = before.every((step) => step.status === "SUCCEEDED") ? statuses[i]! : "SKIPPED";
      steps.push({
        key: `s${i}`,
        deps: before.map(({ key }) => key),
        transaction: groups[i]!,
        rollback: false,
        status,
      });
    }
    const members = steps.filter(({ transaction }) => transaction === "t");
    if (rollback && members.length > 0) {
      const status = members.every((step) => step.status === "SUCCEEDED") ? "SKIPPED" : "SUCCEEDED";
      steps.push({ key: "undo", deps: [], transaction: "t", rollback: true, status });
    }
    return { steps, from: `s${from}` };
  });

describe("a run that is forked at a step", () => {
  it("reuses only what succeeded, with all that it came from, and never the step itself", () => {
    fc.assert(
      fc.property(forks, ({ steps, from }) => {
        const reused = stepsToReuse(steps, from);
        expect(reused.has(from)).toBe(false);
        for (const { key, deps, status, rollback } of steps) {
          if (!reused.has(key)) continue;
          expect([status, rollback]).toEqual(["SUCCEEDED", false]);
          for (const dep of deps) expect(reused.has(dep)).toBe(true);
        }
      }),
    );
  });

  it("runs a transaction again whole or not at all", () => {
    fc.assert(
      fc.property(forks, ({ steps, from }) => {
        const reused = stepsToReuse(steps, from);
        for (const group of ["t", "u"]) {
          const members = steps.filter(({ transaction, rollback }) => transaction === group && !rollback);
          expect(new Set(members.map(({ key }) => reused.has(key))).size).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  it("runs nothing again without a reason", () => {
    fc.assert(
      fc.property(forks, ({ steps, from }) => {
        const reused = stepsToReuse(steps, from);
        const again = steps.filter(({ key }) => !reused.has(key));
        for (const { key, status, deps, transaction, rollback } of again) {
          const hasReason =
            key === from ||
            status !== "SUCCEEDED" ||
            rollback ||
            deps.some((dep) => !reused.has(dep)) ||
            again.some((other) => other.key !== key && transaction && other.transaction === transaction);
          expect(hasReason).toBe(true);
        }
      }),
    );
  });

  it("reuses at least as much when more has succeeded", () => {
    fc.assert(
      fc.property(forks, ({ steps, from }) => {
        const first = stepsToReuse(steps, from);
        const done = steps.map((step) => ({ ...step, status: "SUCCEEDED" as const }));
        const second = stepsToReuse(done, from);
        for (const key of first) expect(second.has(key)).toBe(true);
      }),
    );
  });

  it("takes ten thousand steps in a chain", () => {
    const steps = Array.from({ length: 10_000 }, (_, i): ForkStep => {
      const deps = i === 0 ? [] : [`s${i - 1}`];
      return { key: `s${i}`, deps, transaction: null, rollback: false, status: "SUCCEEDED" };
    });
    expect(stepsToReuse(steps, "s0").size).toBe(0);
    expect(stepsToReuse(steps, "s9999").size).toBe(9_999);
    expect(stepsBefore(steps, "s9999").size).toBe(9_999);
  });
});

describe("a step where a re-run cannot begin", () => {
  const steps: ForkStep[] = [
    { key: "a", deps: [], transaction: null, rollback: false, status: "SUCCEEDED" },
    { key: "b", deps: ["a"], transaction: "t", rollback: false, status: "FAILED" },
    { key: "undo", deps: [], transaction: "t", rollback: true, status: "SUCCEEDED" },
  ];

  it("is one that is not there, or one that only undoes", () => {
    expect(forkProblem(steps, "ghost")).toBe('there is no step "ghost"; the run has a, b, undo');
    expect(forkProblem(steps, "undo")).toMatch(/transaction t/);
    expect(forkProblem(steps, "b")).toBeNull();
  });

  it("is, for one attempt, a step of a transaction", () => {
    expect(steps.map((step) => aloneProblem(step) === null)).toEqual([true, false, false]);
  });
});

describe("a run of one attempt", () => {
  it("has the step, tried once, and the steps that it waits for", () => {
    const step = (key: string, deps: string[]) => ({ key, deps, retry: { maxAttempts: 5 } });
    const snapshot = { steps: [step("a", []), step("x", []), step("b", ["a"]), step("c", ["b"]), step("d", ["c"])] };
    const { steps } = aloneWith(snapshot as unknown as WorkflowSnapshot, "c");
    expect(steps.map(({ key, retry }) => [key, retry.maxAttempts])).toEqual([
      ["a", 5],
      ["b", 5],
      ["c", 1],
    ]);
  });
});
