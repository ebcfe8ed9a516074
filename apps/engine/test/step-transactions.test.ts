import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { Fleet, SHORT } from "./support/fleet.js";
import { World } from "./support/world.js";

let world: World;
let fleet: Fleet;
beforeEach(async () => {
  world = await World.open();
  fleet = new Fleet(world);
});
afterEach(async () => {
  await world[Symbol.asyncDispose]();
});

describe("A transaction", () => {
  it("whose instance is lost is rolled back on another one, and its members are not tried again", async () => {
    const queue = await world.workflow("tx", [
      { key: "a", script: "ok", transaction: "t" },
      { key: "b", script: "ok", deps: ["a"], transaction: "t" },
      { key: "undo", script: "ok", transaction: "t", rollback: true },
    ]);
    const { runner, instance: first } = await fleet.open();
    await world.engine({ env: SHORT });
    const job = await queue();
    await fleet.carryOut();
    await fleet.begin();
    const second = await fleet.hello(runner);
    await fleet.set(first, "stoppedAt");
    const undo = await fleet.next();
    expect(undo).toMatchObject({ stepKey: "undo", instanceId: second });
    await fleet.end(undo);
    const seen = await world.until(job, "FAILED");
    expect(seen.steps).toEqual(["a:SUCCEEDED(SUCCEEDED)", "b:FAILED(LOST)", "undo:SUCCEEDED(SUCCEEDED)"]);
    expect(await world.db.sql.all(`SELECT 1 FROM "StepTransaction" WHERE "closedAt" IS NULL`)).toEqual([]);
  });

  it("goes on on an instance that is about to stop, to its end (G22)", async () => {
    const queue = await world.workflow("tx", [
      { key: "a", script: "ok", transaction: "t" },
      { key: "b", script: "ok", deps: ["a"], transaction: "t" },
    ]);
    const { runner, instance: first } = await fleet.open();
    await world.engine({ env: { ...SHORT, MAIA_RUNNER_UNKNOWN_MS: "60000" } });
    const job = await queue();
    const a = await fleet.begin();
    await fleet.set(first, "stoppingAt");
    await fleet.untilStatus(runner, "STOPPING");
    await fleet.end(a);
    await world.comesTrue(async () => (await fleet.offered()).length === 1);
    await fleet.hello(runner); // another look at the fleet, which must not take it back
    await fleet.untilStatus(runner, "RUNNING");
    const b = await fleet.next();
    expect(b).toMatchObject({ stepKey: "b", instanceId: first });
    await fleet.end(b);
    await world.until(job, "SUCCEEDED");
  });

  it("is undone on an instance that is about to stop, where there is no other (G22)", async () => {
    const queue = await world.workflow("tx", [
      { key: "a", script: "ok", transaction: "t" },
      { key: "undo", script: "ok", transaction: "t", rollback: true },
    ]);
    const { instance: first } = await fleet.open();
    await world.engine();
    const job = await queue();
    const a = await fleet.begin();
    await fleet.set(first, "stoppingAt");
    await fleet.end(a, 1);
    const undo = await fleet.next();
    expect(undo).toMatchObject({ stepKey: "undo", instanceId: first });
    await fleet.end(undo);
    expect((await world.until(job, "FAILED")).failure).toMatchObject({ code: "STEP_EXIT_CODE" });
  });

  it("whose instance goes between two of its steps is rolled back too", async () => {
    const queue = await world.workflow("tx", [
      { key: "a", script: "ok", transaction: "t" },
      { key: "gap", script: "hold", deps: ["a"], transaction: "t" },
      { key: "undo", script: "ok", transaction: "t", rollback: true },
    ]);
    const { runner, instance: first } = await fleet.open(1);
    await world.engine({ env: SHORT });
    const job = await queue();
    const a = await fleet.next();
    await fleet.set(first, "stoppingAt");
    await fleet.hello(runner);
    await fleet.set(first, "stoppedAt");
    await fleet.end(a);
    const undo = await fleet.next();
    expect(undo).toMatchObject({ stepKey: "undo" });
    await fleet.end(undo);
    expect((await world.until(job, "FAILED")).failure).toMatchObject({ code: "RUNNER_LOST" });
  });
});
