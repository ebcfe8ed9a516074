import { describe, expect, it } from "@jest/globals";
import { World } from "../test/world.js";
import { type Action, type AttemptFacts, planRun, type StepFacts } from "./plan.js";
import { DEFAULT_RETRY } from "./retry.js";
import type { RunStepStatus } from "./run-step.js";

/** A world whose inputs are there and whose first steps have started. */
function begun(...steps: ConstructorParameters<typeof World>[0]): World {
  const world = new World(steps);
  world.settle();
  return world;
}

function ends(actions: readonly Action[]): Action | undefined {
  return actions.find((action) => action.do === "moveRun");
}

describe("a run that waits for its inputs", () => {
  it("fetches them, and starts when all are there", () => {
    const world = new World([{ key: "a" }], 2);
    expect(world.plan()).toEqual([
      { do: "fetchInput", fileId: "file_0" },
      { do: "fetchInput", fileId: "file_1" },
    ]);
    for (const input of world.facts.inputs) world.endInput(input, "fetched");
    expect(world.plan()).toEqual([{ do: "moveRun", move: "inputsReady", failure: null }]);
  });

  it("fails when one cannot be had, and names it", () => {
    const world = new World([{ key: "a" }], 2);
    world.endInput(world.facts.inputs[1]!, "fetchFailed");
    world.facts.inputs[1]!.error = "404";
    expect(ends(world.plan())).toMatchObject({
      failure: { code: "INPUT_DOWNLOAD_FAILED", message: "Input file f1: 404" },
    });
    world.settle();
    expect(world.statuses()).toEqual({ a: "SKIPPED" });
  });
});

describe("a step", () => {
  it("starts in the same plan that ends the step before it", () => {
    const world = begun({ key: "a" }, { key: "b", deps: ["a"] });
    world.end(world.step("a"), "started");
    world.end(world.step("a"), "succeed");
    expect(world.plan()).toEqual([
      { do: "moveStep", stepKey: "a", move: "succeed" },
      { do: "startAttempt", stepKey: "b", no: 1 },
    ]);
  });

  it("waits out its back-off between attempts, then fails the run by its own name", () => {
    const world = begun({ key: "a", maxAttempts: 2 });
    world.end(world.step("a"), "fail");
    world.settle();
    expect(world.live()).toHaveLength(0);
    world.now = new Date(world.now.getTime() + 2_000);
    world.settle();
    expect(world.step("a").attempts.map(({ no }) => no)).toEqual([1, 2]);
    world.end(world.step("a"), "fail");
    expect(ends(world.plan())).toMatchObject({ move: "stepFailed", failure: { code: "STEP_EXIT_CODE", stepKey: "a" } });
  });

  it("starts again at once when its attempt was lost, at most three times, and keeps its own retries (G11)", () => {
    const world = begun({ key: "a", maxAttempts: 2 });
    world.end(world.step("a"), "lose", "RUNNER_LOST");
    world.settle();
    world.end(world.step("a"), "fail");
    world.settle();
    world.now = new Date(world.now.getTime() + 2_000);
    for (const _ of [1, 2]) {
      world.settle();
      expect(world.live()).toHaveLength(1);
      world.end(world.step("a"), "lose", "RUNNER_LOST");
    }
    expect(ends(world.plan())).toMatchObject({ failure: { code: "RUNNER_LOST" } });
    expect(world.step("a").attempts).toHaveLength(4);
  });

  it("that had failed by itself when it was asked to stop has failed, and was not stopped", () => {
    const world = begun({ key: "a" }, { key: "b" }, { key: "c" });
    world.end(world.step("a"), "fail");
    world.settle();
    world.end(world.step("b"), "fail");
    world.end(world.step("c"), "cancel");
    world.settle();
    expect(world.statuses()).toEqual({ a: "FAILED", b: "FAILED", c: "CANCELED" });
  });

  it("that Maia's own stop ended costs nothing (G11)", () => {
    const world = begun({ key: "a" });
    for (let i = 0; i < 10; i++) {
      world.end(world.step("a"), "lose", "DRAIN_TIMEOUT");
      world.settle();
    }
    expect(world.facts.status).toBe("RUNNING");
  });

  it("that its executor stopped unasked fails, so that the run does not wait for ever", () => {
    const world = begun({ key: "a" }, { key: "b", deps: ["a"] });
    world.end(world.step("a"), "cancel");
    world.settle();
    expect(world.statuses()).toEqual({ a: "FAILED", b: "SKIPPED" });
    expect(world.facts.status).toBe("FAILED");
  });
});

describe("a run with a limit of its own", () => {
  it("starts no more steps at once, also while one waits for its next attempt, and goes on as they end", () => {
    const now = new Date("2026-11-20T12:00:00.000Z");
    const later = new Date(now.getTime() + 1_000);
    const attempt = { id: "att_1", no: 1, status: "RUNNING", stopping: false, failure: null } as const;
    const step = (key: string, status: RunStepStatus, waits = false) => ({
      ...{ key, status, deps: [], retry: DEFAULT_RETRY, nextAttemptAt: waits ? later : null },
      attempts: status === "PENDING" ? [] : [{ ...attempt, status: waits ? "FAILED" : status } as AttemptFacts],
    });
    const started = (...steps: StepFacts[]) => {
      const run = { id: "run_1", status: "RUNNING", cancelRequested: false, timedOut: false, inputs: [] } as const;
      const actions = planRun({ ...run, concurrency: 2, steps }, now);
      return actions.flatMap((action) => (action.do === "startAttempt" ? [action.stepKey] : []));
    };
    const [c, d] = [step("c", "PENDING"), step("d", "PENDING")];
    expect(started(step("a", "PENDING"), step("b", "PENDING"), c)).toEqual(["a", "b"]);
    expect(started(step("a", "RUNNING"), step("b", "RUNNING", true), c)).toEqual([]);
    expect(started(step("a", "SUCCEEDED"), step("b", "RUNNING"), c, d)).toEqual(["c"]);
    expect(started(step("a", "SUCCEEDED"), step("b", "SUCCEEDED"), c, d)).toEqual(["c", "d"]);
  });
});

describe("a run that cannot succeed any more", () => {
  it("stops what runs, skips what has not begun, and ends when the last process has", () => {
    const world = begun({ key: "a" }, { key: "b" }, { key: "c", deps: ["b"] });
    world.end(world.step("a"), "fail");
    expect(world.plan()).toEqual([
      { do: "moveStep", stepKey: "a", move: "fail" },
      { do: "stopAttempt", stepKey: "b", attemptId: "att_2" },
      { do: "moveStep", stepKey: "c", move: "skip" },
    ]);
    world.settle();
    world.end(world.step("b"), "cancel");
    world.settle();
    expect(world.statuses()).toEqual({ a: "FAILED", b: "CANCELED", c: "SKIPPED" });
  });

  it("gives up a wait for a retry", () => {
    const world = begun({ key: "a", maxAttempts: 9 }, { key: "b" });
    world.end(world.step("a"), "fail");
    world.settle();
    world.end(world.step("b"), "fail");
    world.settle();
    expect(world.statuses()).toEqual({ a: "CANCELED", b: "FAILED" });
  });

  it("is canceled when somebody asked for it, even if every step succeeds meanwhile", () => {
    const world = begun({ key: "a" });
    world.facts.cancelRequested = true;
    world.end(world.step("a"), "started");
    world.end(world.step("a"), "succeed");
    world.settle();
    expect(world.statuses()).toEqual({ a: "SUCCEEDED" });
    expect(world.facts.status).toBe("CANCELED");
  });
});

describe("a transaction", () => {
  const steps = [
    { key: "a", transaction: "t", maxAttempts: 3 },
    { key: "b", deps: ["a"], transaction: "t", maxAttempts: 3 },
    { key: "undo", deps: ["a"], transaction: "t", rollback: true, maxAttempts: 2 },
    { key: "after", deps: ["b"] },
  ];

  function succeed(world: World, key: string): void {
    world.end(world.step(key), "started");
    world.end(world.step(key), "succeed");
    world.settle();
  }

  it("that succeeds never rolls back", () => {
    const world = begun(...steps);
    for (const key of ["a", "b", "after"]) succeed(world, key);
    expect(world.statuses()).toEqual({ a: "SUCCEEDED", b: "SUCCEEDED", undo: "SKIPPED", after: "SUCCEEDED" });
    expect(world.facts.status).toBe("SUCCEEDED");
  });

  it.each(["fail", "lose"] as const)("rolls back when a member ends by %s, without trying it again alone", (move) => {
    const world = begun(...steps);
    succeed(world, "a");
    world.end(world.step("b"), move);
    world.settle();
    expect(world.statuses()).toEqual({ a: "SUCCEEDED", b: "FAILED", undo: "RUNNING", after: "SKIPPED" });
    world.end(world.step("undo"), "fail");
    world.settle();
    world.now = new Date(world.now.getTime() + 2_000);
    world.settle();
    succeed(world, "undo");
    expect(world.facts.status).toBe("FAILED");
    expect(world.step("undo").attempts).toHaveLength(2);
  });

  it("rolls back when the run fails elsewhere while it is open, once its members have ended", () => {
    const world = begun(...steps, { key: "other" });
    world.end(world.step("other"), "fail");
    world.settle();
    expect(world.statuses()).toMatchObject({ a: "RUNNING", undo: "PENDING" });
    world.end(world.step("a"), "cancel");
    world.settle();
    expect(world.statuses()).toMatchObject({ a: "CANCELED", b: "SKIPPED", undo: "RUNNING" });
    succeed(world, "undo");
    expect(world.facts.status).toBe("FAILED");
  });

  it("that has not begun, or has succeeded, is left alone when the run fails elsewhere", () => {
    const late = begun({ key: "first" }, { key: "a", deps: ["first"], transaction: "t" }, { ...steps[2]!, deps: [] });
    late.end(late.step("first"), "fail");
    late.settle();
    expect(late.statuses()).toEqual({ first: "FAILED", a: "SKIPPED", undo: "SKIPPED" });

    const done = begun(...steps);
    for (const key of ["a", "b"]) succeed(done, key);
    done.end(done.step("after"), "fail");
    done.settle();
    expect(done.statuses()).toMatchObject({ undo: "SKIPPED", after: "FAILED" });
  });

  it("starts nothing after a cancel, not even its rollback (G16)", () => {
    const world = begun(...steps);
    succeed(world, "a");
    world.facts.cancelRequested = true;
    world.settle();
    world.end(world.step("b"), "cancel");
    world.settle();
    expect(world.statuses()).toEqual({ a: "SUCCEEDED", b: "CANCELED", undo: "SKIPPED", after: "SKIPPED" });
    expect(world.facts.status).toBe("CANCELED");
  });
});
