import { expect, it } from "@jest/globals";
import fc from "fast-check";
import { type StepPlan, World } from "./world.js";

/** A graph of up to 7 steps in any order, some of them in transactions with or without a rollback step. */
const graphs: fc.Arbitrary<StepPlan[]> = fc
  .record({
    size: fc.integer({ min: 1, max: 7 }),
    deps: fc.array(fc.nat(127), { minLength: 7, maxLength: 7 }),
    maxAttempts: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 7, maxLength: 7 }),
    groups: fc.array(fc.constantFrom(null, null, "t", "u"), { minLength: 7, maxLength: 7 }),
    rollbacks: fc.array(fc.boolean(), { minLength: 2, maxLength: 2 }),
    order: fc.array(fc.nat(), { minLength: 9, maxLength: 9 }),
  })
  .map(({ size, deps, maxAttempts, groups, rollbacks, order }) => {
    const steps: StepPlan[] = Array.from({ length: size }, (_, i) => ({
      key: `s${i}`,
      deps: Array.from({ length: i }, (_, k) => `s${k}`).filter((_, k) => (deps[i]! >> k) & 1),
      maxAttempts: maxAttempts[i]!,
      transaction: groups[i]!,
    }));
    ["t", "u"].forEach((transaction, i) => {
      if (!rollbacks[i] || !steps.some((step) => step.transaction === transaction)) return;
      steps.push({ key: `undo-${transaction}`, deps: ["s0"], transaction, rollback: true, maxAttempts: 2 });
    });
    return steps
      .map((step, i) => ({ step, place: order[i]! }))
      .sort((a, b) => a.place - b.place)
      .map(({ step }) => step);
  });

/** What happens to a run from outside, chosen by numbers; when they run out, all goes well. */
class Fate {
  private at = 0;
  constructor(private readonly choices: readonly number[]) {}

  next(bound: number): number {
    const choice = this.choices[this.at++];
    return choice === undefined ? bound - 1 : choice % bound;
  }

  get isSpent(): boolean {
    return this.at >= this.choices.length;
  }
}

function live(world: World, fate: Fate): void {
  for (let round = 0; round < 400 && !world.isOver; round++) {
    const actions = world.plan();
    expect(world.plan()).toEqual(actions); // the same facts always give the same actions
    world.settle(() => fate.next(4) > 0);
    if (!world.isOver) happen(world, fate);
  }
  expect(world.isOver).toBe(true);
  expect(world.plan()).toEqual([]);
}

/** One thing that happens outside of Maia's control. */
function happen(world: World, fate: Fate): void {
  world.now = new Date(world.now.getTime() + fate.next(3) * 20_000);
  const what = fate.next(12);
  if (what === 0) world.facts.cancelRequested = true;
  const input = world.facts.inputs.find(({ status }) => status === "FETCHING");
  if (input) world.endInput(input, what === 1 ? "fetchFailed" : "fetched");
  const live = world.live();
  const chosen = live[fate.next(Math.max(live.length, 1))];
  if (!chosen) return;
  const { step, attempt } = chosen;
  if (attempt.stopping && what > 5) world.end(step, "cancel");
  else if (what === 2) world.end(step, "lose", "RUNNER_LOST");
  else if (what === 3) world.end(step, "lose", "DRAIN_TIMEOUT");
  else if (what === 4) world.end(step, "fail");
  else if (what === 5)
    world.end(step, "cancel"); // an executor may stop a step by itself
  else if (attempt.status === "DISPATCHING") world.end(step, "started");
  else world.end(step, what === 6 ? "fail" : "succeed");
}

it("ends every run rightly, whatever its graph and whatever happens to it (G6, G9, G10, G11, G16)", () => {
  const fates = fc.array(fc.nat(1_000), { maxLength: 120 });
  const ends: Record<string, number> = {};
  fc.assert(
    fc.property(graphs, fc.nat(2), fates, (steps, inputs, choices) => {
      const world = new World(steps, inputs);
      live(world, new Fate(choices));
      ends[world.facts.status] = (ends[world.facts.status] ?? 0) + 1;
    }),
    { numRuns: 5_000 },
  );
  for (const status of ["SUCCEEDED", "FAILED", "CANCELED"]) expect(ends[status]).toBeGreaterThan(100);
});

it("succeeds whenever nothing goes wrong, and starts each step once", () => {
  fc.assert(
    fc.property(graphs, (steps) => {
      const world = new World(steps);
      live(world, new Fate([]));
      expect(world.facts.status).toBe("SUCCEEDED");
      const working = steps.filter((step) => !step.rollback).map((step) => step.key);
      expect(world.started.toSorted()).toEqual(working.toSorted());
    }),
  );
});

it("ends every run that somebody cancels, and starts nothing after the cancel (G16)", () => {
  fc.assert(
    fc.property(graphs, fc.array(fc.nat(1_000), { maxLength: 40 }), (steps, choices) => {
      const world = new World(steps);
      const fate = new Fate(choices);
      while (!fate.isSpent && !world.isOver) {
        world.settle();
        if (!world.isOver) happen(world, fate);
      }
      if (world.isOver) return;
      world.facts.cancelRequested = true;
      const started = world.started.length;
      world.settle();
      for (const { step } of world.live()) world.end(step, "cancel");
      world.settle();
      expect(world.facts.status).toBe("CANCELED");
      expect(world.started).toHaveLength(started);
    }),
  );
});
