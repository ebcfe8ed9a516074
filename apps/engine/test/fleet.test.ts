import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { removeRunner, requestCancel } from "@maia/db";
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

describe("A job of a runner that dials out", () => {
  it("is offered to an instance with room, step by step, and never runs here", async () => {
    const queue = await world.workflow("two", [
      { key: "a", script: "ok" },
      { key: "b", script: "ok", deps: ["a"] },
    ]);
    await fleet.open();
    await world.engine();
    const job = await queue();
    for (const key of ["a", "b"]) {
      const attempt = await fleet.next();
      expect(attempt).toMatchObject({ stepKey: key, no: 1 });
      await fleet.end(attempt);
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
    const third = await fleet.next();
    await fleet.end(second!);
    await fleet.end(third);
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
      const attempt = await fleet.next();
      expect(attempt.instanceId).toBe(instance);
      await fleet.end(attempt);
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
    await fleet.open();
    await world.engine();
    const job = await queue();
    await world.comesTrue(async () => (await fleet.offered()).length === 2);
    const [a] = await fleet.offered();
    await world.db.write((tx) => tx.sql.run(`UPDATE "Attempt" SET "handedAt" = "offeredAt" WHERE "id" = ?`, a!.id));
    await fleet.started(a!);
    await world.db.write((tx) => requestCancel(tx, job, new Date()));
    await world.comesTrue(async () => (await world.look(job)).steps.includes("b:CANCELED(CANCELED)"));
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
    expect(await fleet.failures(job)).toEqual(["RUNNER_LOST", "RUNNER_NOT_ALLOWED"]);
  });

  it("is carried on by another engine, which finds its attempts where they are (G6, G7)", async () => {
    const queue = await world.workflow("one", [{ key: "a", script: "ok" }]);
    await fleet.open();
    const first = await world.engine();
    const job = await queue();
    const attempt = await fleet.begin();
    await world.stop(first);
    expect((await world.look(job)).steps).toEqual(["a:RUNNING(RUNNING)"]);
    await world.engine();
    await fleet.end(attempt);
    expect((await world.until(job, "SUCCEEDED")).steps).toEqual(["a:SUCCEEDED(SUCCEEDED)"]);
  });
});

describe("An instance that is not heard of", () => {
  it("makes its runner UNKNOWN, loses what it had after the window, and another one goes on (G6, G11)", async () => {
    const queue = await world.workflow("one", [{ key: "a", script: "ok" }]);
    const { runner, instance: first } = await fleet.open();
    await fleet.beat(first);
    await world.engine({ env: SHORT });
    const job = await queue();
    await fleet.begin();
    await fleet.untilStatus(runner, "UNKNOWN", () => fleet.beat());
    const second = await fleet.hello(runner);
    await fleet.untilStatus(runner, "RUNNING", () => fleet.beat(second));
    while ((await fleet.offered()).length === 0) {
      await fleet.beat(second);
      await world.change();
    }
    const again = await fleet.next();
    expect(again).toMatchObject({ no: 2, instanceId: second });
    await fleet.end(again);
    await world.until(job, "SUCCEEDED");
    expect(await fleet.failures(job)).toEqual(["RUNNER_LOST"]);
  });

  it("is not found silent while no gateway is up to hear it", async () => {
    const runner = await fleet.runner("north");
    const instance = await fleet.hello(runner);
    await fleet.beat(instance);
    await world.engine({ env: SHORT });
    await fleet.untilStatus(runner, "RUNNING");
    const until = performance.now() + 1_500;
    while (performance.now() < until) await world.change();
    expect(await fleet.status(runner)).toBe("RUNNING");
  });

  it("gives back at once what never left Maia, and another instance takes it long before the window (G11, F25)", async () => {
    const queue = await world.workflow("one", [{ key: "a", script: "ok" }]);
    const { runner, instance: first } = await fleet.open();
    await world.engine({
      env: { ...SHORT, MAIA_RUNNER_RECONNECT_WINDOW_MS: "600000", MAIA_RUNNER_UNKNOWN_MS: "60000" },
    });
    const job = await queue();
    await world.comesTrue(async () => (await fleet.offered())[0]?.instanceId === first);
    const second = await fleet.hello(runner);
    await fleet.set(first, "silentAt");
    await world.comesTrue(async () => (await fleet.offered())[0]?.instanceId === second);
    await fleet.carryOut();
    await world.until(job, "SUCCEEDED");
  });

  it("gives back a task that never left Maia, and nobody is blamed (G11)", async () => {
    const queue = await world.workflow("one", [{ key: "a", script: "ok" }]);
    const { runner, instance: first } = await fleet.open();
    await world.engine({ env: SHORT });
    const job = await queue();
    await world.comesTrue(async () => (await fleet.offered()).length === 1);
    const second = await fleet.hello(runner);
    await fleet.set(first, "stoppingAt");
    await world.comesTrue(async () => (await fleet.offered())[0]?.instanceId === second);
    await fleet.carryOut();
    await world.until(job, "SUCCEEDED");
    expect(await fleet.failures(job)).toEqual(["DRAIN_TIMEOUT"]);
  });
});
