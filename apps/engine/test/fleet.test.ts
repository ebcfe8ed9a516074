import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { removeRunner, requestCancel } from "@maia/db";
import { Fleet } from "./support/fleet.js";
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

/** Short times, for rules that speak of minutes and hours. */
const SHORT = {
  MAIA_RUNNER_HEARTBEAT_MS: "50",
  MAIA_RUNNER_UNKNOWN_MS: "300",
  MAIA_RUNNER_RECONNECT_WINDOW_MS: "600",
  MAIA_PAUSE_AUTO_RESUME_MS: "700",
  MAIA_RESUME_QUEUE_TIMEOUT_MS: "300",
};

async function status(runnerId: string): Promise<string | null> {
  const text = `SELECT "announcedStatus" AS "status" FROM "Runner" WHERE "id" = ?`;
  return (await world.db.sql.get<{ status: string | null }>(text, runnerId))?.status ?? null;
}

async function untilStatus(runnerId: string, wanted: string, meanwhile = async () => {}): Promise<void> {
  const deadline = performance.now() + 10_000;
  while ((await status(runnerId)) !== wanted) {
    if (performance.now() > deadline) throw new Error(`the runner is ${await status(runnerId)} and not ${wanted}`);
    await meanwhile();
    await world.change();
  }
}

/** The reasons with which a job's attempts ended. */
async function failures(jobId: string): Promise<string[]> {
  const text = `SELECT a."failure" FROM "Attempt" a JOIN "Run" r ON r."id" = a."runId" WHERE r."jobRunId" = ? AND a."failure" IS NOT NULL ORDER BY a."id"`;
  return (await world.db.sql.all<{ failure: string }>(text, jobId)).map(({ failure }) => JSON.parse(failure).code);
}

describe("A job of a runner that dials out", () => {
  it("is offered to an instance with room, step by step, and never runs here", async () => {
    const queue = await world.workflow("two", [
      { key: "a", script: "ok" },
      { key: "b", script: "ok", deps: ["a"] },
    ]);
    world.runnerId = await fleet.runner("north");
    await fleet.hello(world.runnerId);
    await world.engine();
    const job = await queue();
    for (const key of ["a", "b"]) {
      const [attempt] = await fleet.take();
      expect(attempt).toMatchObject({ stepKey: key, no: 1 });
      await fleet.end(attempt!);
    }
    expect((await world.until(job, "SUCCEEDED")).steps).toEqual(["a:SUCCEEDED(SUCCEEDED)", "b:SUCCEEDED(SUCCEEDED)"]);
    expect(world.executor.started).toEqual([]);
  });

  it("waits in the runner's queue while no instance has room, and the queue says since when", async () => {
    const queue = await world.workflow(
      "wide",
      [1, 2, 3].map((n) => ({ key: `s${n}`, script: "ok" })),
    );
    world.runnerId = await fleet.runner("north");
    await world.engine();
    const job = await queue();
    await world.until(job, "RUNNING");
    expect((await world.look(job)).steps).toEqual(["s1:PENDING", "s2:PENDING", "s3:PENDING"]);
    await fleet.hello(world.runnerId, 2);
    const [first, second] = await fleet.take(2);
    const waiting = await world.db.sql.all(`SELECT "key" FROM "RunStep" WHERE "queuedFor" = ?`, world.runnerId);
    expect(waiting).toHaveLength(1);
    expect(await fleet.offered()).toEqual([]);
    await fleet.end(first!);
    const [third] = await fleet.take();
    await fleet.end(second!);
    await fleet.end(third!);
    await world.until(job, "SUCCEEDED");
    expect(await world.db.sql.all(`SELECT 1 FROM "RunStep" WHERE "queuedFor" IS NOT NULL`)).toEqual([]);
  });

  it("does not hold up jobs of the hosted runner, however many wait for one that is away (G13)", async () => {
    const queue = await world.workflow("one", [{ key: "a", script: "ok" }]);
    const away = await fleet.runner("away");
    await world.engine({ env: { MAIA_RUN_CONCURRENCY: "2" } });
    world.runnerId = away;
    const waiting = await Promise.all(Array.from({ length: 100 }, () => queue()));
    world.runnerId = null;
    await world.until(await queue(), "SUCCEEDED");
    expect(await Promise.all(waiting.map(async (id) => (await world.look(id)).job))).not.toContain("SUCCEEDED");
    const instance = await fleet.hello(away, 50);
    for (let ended = 0; ended < 100; ended++) {
      const [attempt] = await fleet.take();
      expect(attempt?.instanceId).toBe(instance);
      await fleet.end(attempt!);
    }
    for (const id of waiting) await world.until(id, "SUCCEEDED");
  });

  it("fails at dispatch once its runner may not be used for it any more (G23)", async () => {
    const queue = await world.workflow("one", [{ key: "a", script: "ok", retry: { maxAttempts: 5 } }]);
    world.runnerId = await fleet.runner("narrow", { restricted: true, allowlist: { projects: { prj_other: {} } } });
    await fleet.hello(world.runnerId);
    await world.engine();
    const seen = await world.until(await queue(), "FAILED");
    expect(seen.failure).toMatchObject({ code: "RUNNER_NOT_ALLOWED" });
    expect(seen.steps).toEqual(["a:FAILED(FAILED)"]);
  });

  it("that is canceled before its task has left Maia ends at once; after that, its runner is asked (G16)", async () => {
    const queue = await world.workflow("two", [
      { key: "a", script: "ok" },
      { key: "b", script: "ok" },
    ]);
    world.runnerId = await fleet.runner("north");
    await fleet.hello(world.runnerId);
    await world.engine();
    const job = await queue();
    await until(async () => (await fleet.offered()).length === 2);
    const [a] = await fleet.offered();
    await world.db.write((tx) => tx.sql.run(`UPDATE "Attempt" SET "handedAt" = "offeredAt" WHERE "id" = ?`, a!.id));
    await fleet.started(a!);
    await cancel(job);
    await until(async () => (await world.look(job)).steps.includes("b:CANCELED(CANCELED)"));
    expect((await world.look(job)).job).toBe("RUNNING");
    const text = `SELECT "stopRequestedAt" AS "at" FROM "Attempt" WHERE "id" = ?`;
    expect((await world.db.sql.get<{ at: string | null }>(text, a!.id))?.at).not.toBeNull();
    await fleet.end(a!, 1);
    await world.until(job, "CANCELED");
  });

  it("ends at once when its runner is removed, which nobody can come back to (F42)", async () => {
    const queue = await world.workflow("one", [{ key: "a", script: "ok", retry: { maxAttempts: 5 } }]);
    const runner = await fleet.runner("gone");
    world.runnerId = runner;
    await fleet.hello(runner);
    await world.engine();
    const job = await queue();
    const [attempt] = await fleet.take();
    await fleet.started(attempt!);
    await world.db.write((tx) => removeRunner(tx, runner, new Date()));
    const seen = await world.until(job, "FAILED");
    expect(seen.failure).toMatchObject({ code: "RUNNER_NOT_ALLOWED" });
    expect(await failures(job)).toEqual(["RUNNER_LOST", "RUNNER_NOT_ALLOWED"]);
  });

  it("is carried on by another engine, which finds its attempts where they are (G6, G7)", async () => {
    const queue = await world.workflow("one", [{ key: "a", script: "ok" }]);
    world.runnerId = await fleet.runner("north");
    await fleet.hello(world.runnerId);
    const first = await world.engine();
    const job = await queue();
    const [attempt] = await fleet.take();
    await fleet.started(attempt!);
    await world.stop(first);
    expect((await world.look(job)).steps).toEqual(["a:RUNNING(RUNNING)"]);
    await world.engine();
    await fleet.end(attempt!);
    expect((await world.until(job, "SUCCEEDED")).steps).toEqual(["a:SUCCEEDED(SUCCEEDED)"]);
  });
});

describe("An instance that is not heard of", () => {
  it("makes its runner UNKNOWN, loses what it had after the window, and another one goes on (G6, G11)", async () => {
    const queue = await world.workflow("one", [{ key: "a", script: "ok" }]);
    const runner = await fleet.runner("north");
    world.runnerId = runner;
    const first = await fleet.hello(runner);
    await fleet.beat(first);
    await world.engine({ env: SHORT });
    const job = await queue();
    const [attempt] = await fleet.take();
    await fleet.started(attempt!);
    await untilStatus(runner, "UNKNOWN", () => fleet.beat());
    const second = await fleet.hello(runner);
    await untilStatus(runner, "RUNNING", () => fleet.beat(second));
    while ((await fleet.offered()).length === 0) {
      await fleet.beat(second);
      await world.change();
    }
    const [again] = await fleet.take();
    expect(again).toMatchObject({ no: 2, instanceId: second });
    await fleet.end(again!);
    await world.until(job, "SUCCEEDED");
    expect(await failures(job)).toEqual(["RUNNER_LOST"]);
  });

  it("is not found silent while no gateway is up to hear it", async () => {
    const runner = await fleet.runner("north");
    const instance = await fleet.hello(runner);
    await fleet.beat(instance);
    await world.engine({ env: SHORT });
    await untilStatus(runner, "RUNNING");
    const until = performance.now() + 1_500;
    while (performance.now() < until) await world.change();
    expect(await status(runner)).toBe("RUNNING");
  });

  it("gives back at once what never left Maia, and another instance takes it long before the window (G11, F25)", async () => {
    const queue = await world.workflow("one", [{ key: "a", script: "ok" }]);
    const runner = await fleet.runner("north");
    world.runnerId = runner;
    const first = await fleet.hello(runner);
    await world.engine({
      env: { ...SHORT, MAIA_RUNNER_RECONNECT_WINDOW_MS: "600000", MAIA_RUNNER_UNKNOWN_MS: "60000" },
    });
    const job = await queue();
    await until(async () => (await fleet.offered())[0]?.instanceId === first);
    const second = await fleet.hello(runner);
    await fleet.set(first, "silentAt");
    await until(async () => (await fleet.offered())[0]?.instanceId === second);
    const [again] = await fleet.take();
    await fleet.end(again!);
    await world.until(job, "SUCCEEDED");
  });

  it("gives back a task that never left Maia, and nobody is blamed (G11)", async () => {
    const queue = await world.workflow("one", [{ key: "a", script: "ok" }]);
    world.runnerId = await fleet.runner("north");
    const first = await fleet.hello(world.runnerId);
    await world.engine({ env: SHORT });
    const job = await queue();
    await until(async () => (await fleet.offered()).length === 1);
    const second = await fleet.hello(world.runnerId);
    await fleet.set(first, "stoppingAt");
    await until(async () => (await fleet.offered())[0]?.instanceId === second);
    const [again] = await fleet.take();
    await fleet.end(again!);
    await world.until(job, "SUCCEEDED");
    expect(await failures(job)).toEqual(["DRAIN_TIMEOUT"]);
  });
});

describe("A pause", () => {
  it("lets running tasks end, starts none, and its queue goes on after the resume in its order (G21)", async () => {
    const queue = await world.workflow("one", [{ key: "a", script: "ok" }]);
    const runner = await fleet.runner("north");
    world.runnerId = runner;
    await fleet.hello(runner, 1);
    await world.engine();
    const jobs = [await queue(), await queue(), await queue()];
    const [running] = await fleet.take();
    await fleet.started(running!);
    const pause = await fleet.pause(runner);
    await untilStatus(runner, "PAUSING");
    await fleet.end(running!);
    await untilStatus(runner, "PAUSED");
    expect(await fleet.offered()).toEqual([]);
    await world.until(jobs[0]!, "SUCCEEDED");
    for (const job of jobs.slice(1)) await world.until(job, "RUNNING");
    expect(await fleet.offered()).toEqual([]);
    await fleet.resume(pause);
    for (const job of jobs.slice(1)) {
      const [next] = await fleet.take();
      await fleet.end(next!);
      await world.until(job, "SUCCEEDED");
    }
    await untilStatus(runner, "RUNNING");
  });

  it("is part of the duration of the runs that wait through it (G21)", async () => {
    const queue = await world.workflow("one", [{ key: "a", script: "ok" }]);
    const runner = await fleet.runner("north");
    world.runnerId = runner;
    await fleet.hello(runner);
    await world.engine();
    const pause = await fleet.pause(runner);
    await untilStatus(runner, "PAUSED");
    const job = await queue();
    await world.until(job, "RUNNING");
    const pausedMs = 300;
    await delay(pausedMs); // the pause lasts; nothing else happens that could be waited for
    await fleet.resume(pause);
    const [attempt] = await fleet.take();
    await fleet.end(attempt!);
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
    const runner = await fleet.runner("north");
    world.runnerId = runner;
    const home = await fleet.hello(runner);
    await fleet.hello(runner, 8);
    await world.engine();
    const job = await queue();
    const [a] = await fleet.take();
    await fleet.started(a!);
    const pause = await fleet.pause(runner);
    await untilStatus(runner, "PAUSING");
    await fleet.end(a!);
    const [b] = await fleet.take();
    expect(b).toMatchObject({ stepKey: "b", instanceId: a!.instanceId });
    expect(home).not.toBe(a!.instanceId); // the one with more room was chosen
    expect(await status(runner)).toBe("PAUSING");
    await fleet.end(b!);
    await untilStatus(runner, "PAUSED");
    expect(await fleet.offered()).toEqual([]);
    await fleet.resume(pause);
    const [c] = await fleet.take();
    await fleet.end(c!);
    await world.until(job, "SUCCEEDED");
  });

  it("is quiet once a transaction has ended that was the last of its run (G21)", async () => {
    const queue = await world.workflow("tx", [
      { key: "a", script: "ok", transaction: "t" },
      { key: "undo", script: "ok", transaction: "t", rollback: true },
    ]);
    const runner = await fleet.runner("north");
    world.runnerId = runner;
    await fleet.hello(runner);
    await world.engine();
    const job = await queue();
    const [a] = await fleet.take();
    await fleet.started(a!);
    await fleet.pause(runner);
    await untilStatus(runner, "PAUSING");
    await fleet.end(a!);
    await world.until(job, "SUCCEEDED");
    await untilStatus(runner, "PAUSED");
  });

  it("waits for a transaction to be undone that has failed in it, on whichever instance (G21)", async () => {
    const queue = await world.workflow("tx", [
      { key: "a", script: "ok", transaction: "t" },
      { key: "undo", script: "ok", transaction: "t", rollback: true },
      { key: "later", script: "ok", deps: ["a"] },
    ]);
    const runner = await fleet.runner("north");
    world.runnerId = runner;
    await fleet.hello(runner);
    await world.engine();
    const job = await queue();
    const [a] = await fleet.take();
    await fleet.started(a!);
    await fleet.pause(runner);
    await untilStatus(runner, "PAUSING");
    await fleet.end(a!, 1);
    const [undo] = await fleet.take();
    expect(undo).toMatchObject({ stepKey: "undo" });
    expect(await status(runner)).toBe("PAUSING");
    await fleet.end(undo!);
    await world.until(job, "FAILED");
    await untilStatus(runner, "PAUSED");
  });

  it("ends by itself, counted from the moment that all was quiet (G21)", async () => {
    const queue = await world.workflow("one", [{ key: "a", script: "ok" }]);
    const runner = await fleet.runner("north");
    world.runnerId = runner;
    const instance = await fleet.hello(runner);
    await world.engine({ env: { ...SHORT, MAIA_RUNNER_UNKNOWN_MS: "60000" } });
    const pauseId = await fleet.pause(runner);
    await untilStatus(runner, "PAUSED");
    const job = await queue();
    await untilStatus(runner, "RUNNING", () => fleet.beat(instance));
    const [attempt] = await fleet.take();
    await fleet.end(attempt!);
    await world.until(job, "SUCCEEDED");
    const text = `SELECT "quietAt", "resumedAt" FROM "RunnerPause" WHERE "id" = ?`;
    const pause = await world.db.sql.get<{ quietAt: string; resumedAt: string }>(text, pauseId);
    expect(Date.parse(pause!.resumedAt) - Date.parse(pause!.quietAt)).toBe(700);
  });

  it("that ends on a runner which is gone fails what waited through it, after the time for that (G21)", async () => {
    const queue = await world.workflow("one", [{ key: "a", script: "ok" }]);
    const runner = await fleet.runner("north");
    world.runnerId = runner;
    const instance = await fleet.hello(runner);
    await world.engine({ env: SHORT });
    const pause = await fleet.pause(runner);
    await untilStatus(runner, "PAUSED");
    const job = await queue();
    await world.until(job, "RUNNING");
    await fleet.set(instance, "stoppedAt");
    await fleet.resume(pause);
    await untilStatus(runner, "STOPPED");
    const seen = await world.until(job, "FAILED");
    expect(seen.failure).toMatchObject({ code: "RUNNER_QUEUE_TIMEOUT" });
  });

  it("of the hosted runner holds new steps here", async () => {
    const queue = await world.workflow("one", [{ key: "a", script: "ok" }]);
    const hosted = (await world.db.sql.get<{ id: string }>(`SELECT "id" FROM "Runner"`))!.id;
    await world.engine();
    const pause = await fleet.pause(hosted);
    await untilStatus(hosted, "PAUSED");
    const job = await queue();
    await world.until(job, "RUNNING");
    expect(world.executor.started).toEqual([]);
    await fleet.resume(pause);
    await world.until(job, "SUCCEEDED");
  });
});

describe("A transaction", () => {
  it("whose instance is lost is rolled back on another one, and its members are not tried again", async () => {
    const queue = await world.workflow("tx", [
      { key: "a", script: "ok", transaction: "t" },
      { key: "b", script: "ok", deps: ["a"], transaction: "t" },
      { key: "undo", script: "ok", transaction: "t", rollback: true },
    ]);
    const runner = await fleet.runner("north");
    world.runnerId = runner;
    const first = await fleet.hello(runner);
    await world.engine({ env: SHORT });
    const job = await queue();
    const [a] = await fleet.take();
    await fleet.end(a!);
    const [b] = await fleet.take();
    await fleet.started(b!);
    const second = await fleet.hello(runner);
    await fleet.set(first, "stoppedAt");
    const [undo] = await fleet.take();
    expect(undo).toMatchObject({ stepKey: "undo", instanceId: second });
    await fleet.end(undo!);
    const seen = await world.until(job, "FAILED");
    expect(seen.steps).toEqual(["a:SUCCEEDED(SUCCEEDED)", "b:FAILED(LOST)", "undo:SUCCEEDED(SUCCEEDED)"]);
    expect(await world.db.sql.all(`SELECT 1 FROM "StepTransaction" WHERE "closedAt" IS NULL`)).toEqual([]);
  });

  it("goes on on an instance that is about to stop, to its end (G22)", async () => {
    const queue = await world.workflow("tx", [
      { key: "a", script: "ok", transaction: "t" },
      { key: "b", script: "ok", deps: ["a"], transaction: "t" },
    ]);
    const runner = await fleet.runner("north");
    world.runnerId = runner;
    const first = await fleet.hello(runner);
    await world.engine({ env: { ...SHORT, MAIA_RUNNER_UNKNOWN_MS: "60000" } });
    const job = await queue();
    const [a] = await fleet.take();
    await fleet.started(a!);
    await fleet.set(first, "stoppingAt");
    await untilStatus(runner, "STOPPING");
    await fleet.end(a!);
    await until(async () => (await fleet.offered()).length === 1);
    await fleet.hello(runner); // another look at the fleet, which must not take it back
    await untilStatus(runner, "RUNNING");
    const [b] = await fleet.take();
    expect(b).toMatchObject({ stepKey: "b", instanceId: first });
    await fleet.end(b!);
    await world.until(job, "SUCCEEDED");
  });

  it("is undone on an instance that is about to stop, where there is no other (G22)", async () => {
    const queue = await world.workflow("tx", [
      { key: "a", script: "ok", transaction: "t" },
      { key: "undo", script: "ok", transaction: "t", rollback: true },
    ]);
    const runner = await fleet.runner("north");
    world.runnerId = runner;
    const first = await fleet.hello(runner);
    await world.engine();
    const job = await queue();
    const [a] = await fleet.take();
    await fleet.started(a!);
    await fleet.set(first, "stoppingAt");
    await fleet.end(a!, 1);
    const [undo] = await fleet.take();
    expect(undo).toMatchObject({ stepKey: "undo", instanceId: first });
    await fleet.end(undo!);
    expect((await world.until(job, "FAILED")).failure).toMatchObject({ code: "STEP_EXIT_CODE" });
  });

  it("whose instance goes between two of its steps is rolled back too", async () => {
    const queue = await world.workflow("tx", [
      { key: "a", script: "ok", transaction: "t" },
      { key: "gap", script: "hold", deps: ["a"], transaction: "t" },
      { key: "undo", script: "ok", transaction: "t", rollback: true },
    ]);
    const runner = await fleet.runner("north");
    world.runnerId = runner;
    const first = await fleet.hello(runner, 1);
    await world.engine({ env: SHORT });
    const job = await queue();
    const [a] = await fleet.take();
    await fleet.set(first, "stoppingAt");
    await fleet.hello(runner);
    await fleet.set(first, "stoppedAt");
    await fleet.end(a!);
    const [undo] = await fleet.take();
    expect(undo).toMatchObject({ stepKey: "undo" });
    await fleet.end(undo!);
    expect((await world.until(job, "FAILED")).failure).toMatchObject({ code: "RUNNER_LOST" });
  });
});

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error("it did not come to pass");
    await world.change();
  }
}

async function cancel(jobId: string): Promise<void> {
  await world.db.write((tx) => requestCancel(tx, jobId, new Date()));
}
