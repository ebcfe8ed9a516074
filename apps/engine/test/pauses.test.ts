import { setTimeout as delay } from "node:timers/promises";
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

describe("A pause", () => {
  it("lets running tasks end, starts none, and its queue goes on after the resume in its order (G21)", async () => {
    const queue = await world.workflow("one", [{ key: "a", script: "ok" }]);
    const { runner } = await fleet.open(1);
    await world.engine();
    const jobs = [await queue(), await queue(), await queue()];
    const running = await fleet.begin();
    const pause = await fleet.pause(runner);
    await fleet.untilStatus(runner, "PAUSING");
    await fleet.end(running);
    await fleet.untilStatus(runner, "PAUSED");
    expect(await fleet.offered()).toEqual([]);
    await world.until(jobs[0]!, "SUCCEEDED");
    for (const job of jobs.slice(1)) await world.until(job, "RUNNING");
    expect(await fleet.offered()).toEqual([]);
    await fleet.resume(pause);
    for (const job of jobs.slice(1)) {
      await fleet.carryOut();
      await world.until(job, "SUCCEEDED");
    }
    await fleet.untilStatus(runner, "RUNNING");
  });

  it("is part of the duration of the runs that wait through it (G21)", async () => {
    const queue = await world.workflow("one", [{ key: "a", script: "ok" }]);
    const { runner } = await fleet.open();
    await world.engine();
    const pause = await fleet.pause(runner);
    await fleet.untilStatus(runner, "PAUSED");
    const job = await queue();
    await world.until(job, "RUNNING");
    const pausedMs = 300;
    await delay(pausedMs); // the pause lasts; nothing else happens that could be waited for
    await fleet.resume(pause);
    await fleet.carryOut();
    await world.until(job, "SUCCEEDED");
    const text = `SELECT "startedAt", "finishedAt" FROM "Run" WHERE "jobRunId" = ?`;
    const run = await world.db.sql.get<{ startedAt: string; finishedAt: string }>(text, job);
    expect(Date.parse(run!.finishedAt) - Date.parse(run!.startedAt)).toBeGreaterThanOrEqual(pausedMs);
  });

  it("waits for an open transaction to end, whose steps still start (G21)", async () => {
    const member = { transaction: "t" };
    const queue = await world.workflow("tx", [
      { key: "a", script: "ok", ...member },
      { key: "b", script: "ok", deps: ["a"], ...member },
      { key: "c", script: "ok", deps: ["b"] },
    ]);
    const { runner, instance: home } = await fleet.open();
    await fleet.hello(runner, 8);
    await world.engine();
    const job = await queue();
    const a = await fleet.begin();
    const pause = await fleet.pause(runner);
    await fleet.untilStatus(runner, "PAUSING");
    await fleet.end(a);
    const b = await fleet.next();
    expect(b).toMatchObject({ stepKey: "b", instanceId: a.instanceId });
    expect(home).not.toBe(a.instanceId); // the one with more room was chosen
    expect(await fleet.status(runner)).toBe("PAUSING");
    await fleet.end(b);
    await fleet.untilStatus(runner, "PAUSED");
    expect(await fleet.offered()).toEqual([]);
    await fleet.resume(pause);
    await fleet.carryOut();
    await world.until(job, "SUCCEEDED");
  });

  it("is quiet once a transaction has ended that was the last of its run (G21)", async () => {
    const queue = await world.workflow("tx", [
      { key: "a", script: "ok", transaction: "t" },
      { key: "undo", script: "ok", transaction: "t", rollback: true },
    ]);
    const { runner } = await fleet.open();
    await world.engine();
    const job = await queue();
    const a = await fleet.begin();
    await fleet.pause(runner);
    await fleet.untilStatus(runner, "PAUSING");
    await fleet.end(a);
    await world.until(job, "SUCCEEDED");
    await fleet.untilStatus(runner, "PAUSED");
  });

  it("waits for a transaction to be undone that has failed in it, on whichever instance (G21)", async () => {
    const queue = await world.workflow("tx", [
      { key: "a", script: "ok", transaction: "t" },
      { key: "undo", script: "ok", transaction: "t", rollback: true },
      { key: "later", script: "ok", deps: ["a"] },
    ]);
    const { runner } = await fleet.open();
    await world.engine();
    const job = await queue();
    const a = await fleet.begin();
    await fleet.pause(runner);
    await fleet.untilStatus(runner, "PAUSING");
    await fleet.end(a, 1);
    const undo = await fleet.next();
    expect(undo).toMatchObject({ stepKey: "undo" });
    expect(await fleet.status(runner)).toBe("PAUSING");
    await fleet.end(undo);
    await world.until(job, "FAILED");
    await fleet.untilStatus(runner, "PAUSED");
  });

  it("ends by itself, counted from the moment that all was quiet (G21)", async () => {
    const queue = await world.workflow("one", [{ key: "a", script: "ok" }]);
    const { runner, instance } = await fleet.open();
    await world.engine({ env: { ...SHORT, MAIA_RUNNER_UNKNOWN_MS: "60000" } });
    const pauseId = await fleet.pause(runner);
    await fleet.untilStatus(runner, "PAUSED");
    const job = await queue();
    await fleet.untilStatus(runner, "RUNNING", () => fleet.beat(instance));
    await fleet.carryOut();
    await world.until(job, "SUCCEEDED");
    const text = `SELECT "quietAt", "resumedAt" FROM "RunnerPause" WHERE "id" = ?`;
    const pause = await world.db.sql.get<{ quietAt: string; resumedAt: string }>(text, pauseId);
    expect(Date.parse(pause!.resumedAt) - Date.parse(pause!.quietAt)).toBe(700);
  });

  it("that ends on a runner which is gone fails what waited through it, after the time for that (G21)", async () => {
    const queue = await world.workflow("one", [{ key: "a", script: "ok" }]);
    const { runner, instance } = await fleet.open();
    await world.engine({ env: SHORT });
    const pause = await fleet.pause(runner);
    await fleet.untilStatus(runner, "PAUSED");
    const job = await queue();
    await world.until(job, "RUNNING");
    await fleet.set(instance, "stoppedAt");
    await fleet.resume(pause);
    await fleet.untilStatus(runner, "STOPPED");
    const seen = await world.until(job, "FAILED");
    expect(seen.failure).toMatchObject({ code: "RUNNER_QUEUE_TIMEOUT" });
  });

  it("of the hosted runner holds new steps here", async () => {
    const queue = await world.workflow("one", [{ key: "a", script: "ok" }]);
    const hosted = (await world.db.sql.get<{ id: string }>(`SELECT "id" FROM "Runner"`))!.id;
    await world.engine();
    const pause = await fleet.pause(hosted);
    await fleet.untilStatus(hosted, "PAUSED");
    const job = await queue();
    await world.until(job, "RUNNING");
    expect(world.executor.started).toEqual([]);
    await fleet.resume(pause);
    await world.until(job, "SUCCEEDED");
  });
});
