import { describe, expect, it } from "@jest/globals";
import { ScriptedExecutor } from "./support/scripted-executor.js";
import { World } from "./support/world.js";

describe("an engine", () => {
  it("carries a job through a diamond in the order of its dependencies (G10)", async () => {
    await using world = await World.open();
    const queue = await world.workflow("diamond", [
      { key: "top", script: "ok" },
      { key: "left", script: "ok", deps: ["top"] },
      { key: "right", script: "ok", deps: ["top"] },
      { key: "bottom", script: "ok", deps: ["left", "right"] },
    ]);
    await world.engine();
    const seen = await world.until(await queue(), "SUCCEEDED");
    expect(seen.steps).toEqual(["top", "left", "right", "bottom"].map((key) => `${key}:SUCCEEDED(SUCCEEDED)`));
    expect(world.executor.started.map((key) => key.split("/")[1])).toEqual(["top#1", "left#1", "right#1", "bottom#1"]);
  });

  it("stops running siblings and skips pending steps when one fails, and names the failure (G9)", async () => {
    await using world = await World.open();
    const queue = await world.workflow("fails", [
      { key: "bad", script: "fail" },
      { key: "slow", script: "hold" },
      { key: "after", script: "ok", deps: ["bad"] },
    ]);
    await world.engine();
    const seen = await world.until(await queue(), "FAILED");
    expect(seen.steps).toEqual(["bad:FAILED(FAILED)", "slow:CANCELED(CANCELED)", "after:SKIPPED"]);
    expect(seen.failure).toMatchObject({ code: "STEP_EXIT_CODE", stepKey: "bad" });
  });

  it("tries a failed step again as often as its retry says, after its back-off (G11)", async () => {
    await using world = await World.open();
    const queue = await world.workflow("retries", [
      {
        key: "a",
        script: "fail",
        retry: { maxAttempts: 3, backoffMs: 10, multiplier: 1, maxBackoffMs: 10, jitter: 0 },
      },
    ]);
    await world.engine();
    const seen = await world.until(await queue(), "FAILED");
    expect(seen.steps).toEqual(["a:FAILED(FAILED FAILED FAILED)"]);
  });

  it("runs no more steps at once than it has slots, and forgets none that had to wait", async () => {
    await using world = await World.open();
    const queue = await world.workflow(
      "wide",
      Array.from({ length: 20 }, (_, i) => ({ key: `s${i}`, script: "ok" })),
    );
    await world.engine({ env: { MAIA_STEP_CONCURRENCY: "3" } });
    const jobs = await Promise.all(Array.from({ length: 5 }, () => queue()));
    for (const job of jobs) expect((await world.until(job, "SUCCEEDED")).steps).toHaveLength(20);
    expect(new Set(world.executor.started).size).toBe(100);
  });

  it("runs no more steps of one run at once than its workflow says", async () => {
    await using world = await World.open();
    const steps = Array.from({ length: 6 }, (_, i) => ({ key: `s${i}`, script: "hold" }));
    const queue = await world.workflow("narrow", steps, { concurrency: 2 });
    await world.engine({ env: { MAIA_STEP_CONCURRENCY: "50" } });
    const job = await queue();
    let most = 0;
    const ended = world.until(job, "SUCCEEDED");
    for (let seen = await world.look(job); seen.job !== "SUCCEEDED"; seen = await world.look(job)) {
      const running = seen.steps.filter((step) => step.includes(":RUNNING")).length;
      most = Math.max(most, running);
      if (most === 2) world.executor.release();
      await world.change();
    }
    expect((await ended).steps.every((step) => step.endsWith(":SUCCEEDED(SUCCEEDED)"))).toBe(true);
    expect(most).toBe(2);
  });

  it("fails a job whose version cannot be read, and no other (G12)", async () => {
    await using world = await World.open();
    const bad = await (await world.workflow("poison", [{ key: "a", script: "ok" }]))();
    await world.db.write((tx) =>
      tx.sql.run(
        `UPDATE "WorkflowVersion" SET "workflowSnap" = '{"steps":' WHERE "id" = (SELECT "workflowVersionId" FROM "JobRun" WHERE "id" = ?)`,
        bad,
      ),
    );
    const good = await (await world.workflow("good", [{ key: "a", script: "ok" }]))();
    await world.engine();
    expect((await world.until(bad, "FAILED")).run).toBeNull();
    expect((await world.until(good, "SUCCEEDED")).run).toBe("SUCCEEDED");
  });

  it("fails a step that needs a secret which is not set, and names it", async () => {
    await using world = await World.open();
    const queue = await world.workflow("secretive", [{ key: "a", script: "ok" }], { secrets: ["WAREHOUSE_DSN"] });
    await world.engine();
    const seen = await world.until(await queue(), "FAILED");
    expect(seen.failure).toMatchObject({ stepKey: "a", message: expect.stringContaining("WAREHOUSE_DSN") });
    expect(world.executor.started).toEqual([]);
  });

  it("sets a run aside that it cannot carry on, and goes on with the others (G12)", async () => {
    await using world = await World.open();
    const retry = { maxAttempts: 2, backoffMs: 100, multiplier: 1, maxBackoffMs: 100, jitter: 0 };
    const queue = await world.workflow("spoilt", [{ key: "a", script: "fail", retry }]);
    const bad = await queue();
    await world.engine();
    for (;;) {
      const rung = world.db.bell("events").next(AbortSignal.timeout(50));
      const spoil = `UPDATE "Attempt" SET "failure" = '{' WHERE "status" = 'FAILED'`;
      if ((await world.db.write((tx) => tx.sql.run(spoil))) > 0) break;
      await rung;
    }
    const good = await (await world.workflow("good", [{ key: "a", script: "ok" }]))();
    expect(await world.until(bad, "FAILED")).toMatchObject({ run: "FAILED", failure: { code: "INTERNAL" } });
    expect((await world.until(good, "SUCCEEDED")).run).toBe("SUCCEEDED");
  });

  it("gives a backlog to two engines that start together, each job to one of them (G3)", async () => {
    await using world = await World.open();
    await using second = await World.database(world.folder);
    const queue = await world.workflow("many", [{ key: "a", script: "ok" }]);
    const jobs = await Promise.all(Array.from({ length: 300 }, () => queue()));
    const engines = await Promise.all([world.engine(), world.engine({ db: second })]);
    for (const job of jobs) await world.until(job, "SUCCEEDED");
    const owners = await world.db.sql.all<{ ownerId: string; runs: number }>(
      `SELECT "ownerId", count(*) AS "runs" FROM "Run" GROUP BY 1`,
    );
    expect(owners.reduce((sum, owner) => sum + owner.runs, 0)).toBe(300);
    expect(new Set(world.executor.started).size).toBe(world.executor.started.length);
    await world.stop(engines[1]!);
  });

  it("adopts the runs of an engine whose lease ran out on its own clock, under a higher epoch, and follows their attempts (G7)", async () => {
    await using world = await World.open();
    await using other = await World.database(world.folder);
    const queue = await world.workflow("held", [
      { key: "a", script: "hold" },
      { key: "b", script: "ok", deps: ["a"] },
    ]);
    let clock = 0;
    const slow = await world.engine({ env: { MAIA_LEASE_RENEW_MS: "3600000", MAIA_LEASE_TTL_MS: "7200000" } }); // it never beats: as if it were stopped
    const job = await queue();
    await world.until(job, "RUNNING");
    const env = { MAIA_LEASE_TTL_MS: "1000", MAIA_LEASE_RENEW_MS: "20" };
    const heir = await world.engine({ env, db: other, monotonic: () => (clock += 100) });
    await world.until(job, "RUNNING");
    for (;;) {
      const row = await world.db.sql.get<{ ownerEpoch: number }>(`SELECT "ownerEpoch" FROM "Run"`);
      if (row?.ownerEpoch === 2) break;
      await world.db.bell("events").next(AbortSignal.timeout(50));
    }
    while (world.executor.tasks.length < 2) await world.change();
    const seen = await world.released(job);
    expect(seen.steps).toEqual(["a:SUCCEEDED(SUCCEEDED)", "b:SUCCEEDED(SUCCEEDED)"]);
    expect(world.executor.started.map((key) => key.split("/")[1])).toEqual(["a#1", "b#1"]);
    await world.stop(heir);
    await world.stop(slow);
  });

  it("finds the attempts of its own dead processes lost, and tries again under the next number (G6)", async () => {
    await using world = await World.open();
    const queue = await world.workflow("held", [{ key: "a", script: "hold" }]);
    const job = await queue();
    const local = new ScriptedExecutor("local:dead");
    const engine = await world.engine({ executor: local });
    await world.until(job, "RUNNING");
    await world.db.write((tx) => tx.sql.run(`UPDATE "Engine" SET "endedAt" = '2026-01-01T00:00:00.000+00:00'`));
    await world.engine({ executor: world.executor });
    for (;;) {
      if (world.executor.started.length > 0) break;
      await world.db.bell("events").next(AbortSignal.timeout(50));
    }
    const seen = await world.released(job);
    expect(seen.steps).toEqual(["a:SUCCEEDED(LOST SUCCEEDED)"]);
    await world.stop(engine);
  });
});
