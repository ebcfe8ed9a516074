import { describe, expect, it } from "@jest/globals";
import { explore } from "./explore.js";
import type { Mutation } from "./moves.js";

describe("claim, lease, epoch and attempt, in every order that two engines and a runner can take", () => {
  it.each([0, 1, 2])("keep G3, G6 and G7 through %d faults, and the job can always end", (faults) => {
    const from = performance.now();
    const { states, transitions, violation, deadEnds } = explore(faults);
    const ms = Math.round(performance.now() - from);
    process.stdout.write(`model: ${faults} faults, ${states} states, ${transitions} transitions, ${ms} ms\n`);
    expect(violation).toBeNull();
    expect(deadEnds).toBe(0);
  });

  it.each<[Mutation, RegExp]>([
    ["claim without compare-and-set", /^G3/],
    ["write without epoch", /^G7/],
    ["ledger after spawn", /^G6/],
    ["send again to another ledger", /^G6/],
    ["no ledger in the task", /^G6/],
    ["start again what was lost in a crash", /^G6/],
  ])("would not, with this fault in the design: %s", (mutation, promise) => {
    const { violation } = explore(2, mutation);
    expect(violation?.promise).toMatch(promise);
    expect(violation?.path.length).toBeGreaterThan(1);
  });
});
