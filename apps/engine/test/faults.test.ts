import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, expect, it } from "@jest/globals";
import { auditAfter, type Db, endEngine, toDbTime } from "@maia/db";
import { ScriptedExecutor } from "./support/scripted-executor.js";
import { World } from "./support/world.js";

const ONE_AT_A_TIME = { MAIA_STEP_CONCURRENCY: "1" };
const NEVER_BEATS = { MAIA_LEASE_RENEW_MS: "3600000", MAIA_LEASE_TTL_MS: "7200000" };

async function until<T>(world: World, look: () => Promise<T | null | undefined | false>): Promise<T> {
  for (;;) {
    const found = await look();
    if (found) return found;
    await world.change();
  }
}

/** A workflow whose facts cannot be read any more once `spoil` has worked, while a step of it runs. */
async function spoilt(world: World) {
  const retry = { maxAttempts: 2, backoffMs: 60_000, multiplier: 1, maxBackoffMs: 60_000, jitter: 0 };
  const queue = await world.workflow("spoilt", [
    { key: "fails", script: "fail", retry },
    { key: "holds", script: "hold" },
  ]);
  const spoil = async () => {
    if (world.executor.started.length < 2) return false;
    const text = `UPDATE "Attempt" SET "failure" = '{' WHERE "status" = 'FAILED'`;
    return (await world.db.write((tx) => tx.sql.run(text))) > 0;
  };
  return { queue, spoil };
}

describe("an attempt", () => {
  it("gets its files, whatever its parameters say about files", async () => {
    await using world = await World.open();
    const queue = await world.workflow("files", [{ key: "a", script: "ok" }]);
    await world.engine();
    const job = await queue({ note: '"files":[]', list: { files: [] } }, [{ name: "data.txt", text: "bytes" }]);
    await world.until(job, "SUCCEEDED");
    expect(world.executor.tasks[0]!.files).toMatchObject([{ path: "inputs/0-data.txt", sizeBytes: 5 }]);
  });

  it("whose end cannot be written sets its run aside and gives its slot to the next (G12)", async () => {
    await using world = await World.open();
    const { queue, spoil } = await spoilt(world);
    await world.engine({ env: ONE_AT_A_TIME });
    const bad = await queue();
    await until(world, spoil);
    world.executor.release();
    expect((await world.until(bad, "FAILED")).failure).toMatchObject({ code: "INTERNAL" });
    await world.until(await (await world.workflow("good", [{ key: "a", script: "ok" }]))(), "SUCCEEDED");
  });

  it("that the executor itself breaks on is ended there too, and named an internal failure", async () => {
    await using world = await World.open();
    const queue = await world.workflow("broken", [{ key: "a", script: "break" }]);
    await world.engine();
    const seen = await world.until(await queue(), "FAILED");
    expect(seen.failure).toMatchObject({ code: "INTERNAL" });
    expect(world.executor.cancels).toMatchObject([{ mode: "kill" }]);
    const row = await world.db.sql.get<{ reason: string }>(`SELECT "reason" FROM "Attempt"`);
    expect(row?.reason).toBe("lost");
  });

  it("that ends without having begun is lost, and tried again as often as losses may be", async () => {
    await using world = await World.open();
    const queue = await world.workflow("silent", [{ key: "a", script: "no-start" }]);
    await world.engine();
    const seen = await world.until(await queue(), "FAILED");
    expect(seen.steps[0]).toMatch(/^a:FAILED\(LOST( LOST)*\)$/);
    expect(seen.failure).toMatchObject({ code: "RUNNER_LOST" });
  });

  it("that somebody else owns now gives its slot to a run that waits for one", async () => {
    await using world = await World.open();
    const queue = await world.workflow("held", [{ key: "a", script: "hold" }]);
    await world.engine({ env: { ...NEVER_BEATS, ...ONE_AT_A_TIME } });
    await queue();
    await until(world, async () => world.executor.started.length === 1);
    const waits = await (await world.workflow("waits", [{ key: "a", script: "ok" }]))();
    await world.until(waits, "RUNNING");
    await world.db.write(async (tx) => {
      await tx.sql.run(`UPDATE "Attempt" SET "epoch" = 2 WHERE "status" = 'RUNNING'`);
      await tx.sql.run(`UPDATE "Run" SET "ownerEpoch" = 2 WHERE "id" IN (SELECT "runId" FROM "Attempt")`);
    });
    world.executor.release();
    await world.until(waits, "SUCCEEDED");
  });

  it("of a run that is set aside is ended at the runner (G12)", async () => {
    await using world = await World.open();
    const { queue, spoil } = await spoilt(world);
    await world.engine();
    const bad = await queue();
    await until(world, spoil);
    await world.db.write(async (tx) => {
      await tx.sql.run(`UPDATE "Run" SET "cancelRequestedAt" = "createdAt"`);
      tx.ring("engine");
    });
    expect((await world.until(bad, "FAILED")).failure).toMatchObject({ code: "INTERNAL" });
    await until(world, async () => world.executor.cancels.some(({ mode }) => mode === "kill"));
    const entry = { actor: "engine", action: "run.quarantine", target: expect.stringMatching(/^run_/), outcome: "ok" };
    expect(await auditAfter(world.db.sql, 0, 10)).toMatchObject([entry]);
  });
});

describe("a retry", () => {
  const retry = { maxAttempts: 2, backoffMs: 60_000, multiplier: 1, maxBackoffMs: 60_000, jitter: 0 };

  it("comes after its back-off although the wall clock is put back (G27)", async () => {
    await using world = await World.open();
    const quick = { ...retry, backoffMs: 50, maxBackoffMs: 50 };
    const queue = await world.workflow("retries", [{ key: "a", script: "fail", retry: quick }]);
    const hourBack = () => new Date(Date.now() - (world.executor.started.length > 0 ? 3_600_000 : 0));
    await world.engine({ clock: hourBack });
    expect((await world.until(await queue(), "FAILED")).steps).toEqual(["a:FAILED(FAILED FAILED)"]);
  });

  it("whose time is unreadable sets its run aside, and no other (G12)", async () => {
    await using world = await World.open();
    const queue = await world.workflow("retries", [{ key: "a", script: "fail", retry }]);
    await world.engine();
    const bad = await queue();
    await until(world, () =>
      world.db.write(async (tx) => {
        tx.ring("engine");
        return (
          (await tx.sql.run(`UPDATE "RunStep" SET "nextAttemptAt" = 'soon' WHERE "nextAttemptAt" IS NOT NULL`)) > 0
        );
      }),
    );
    expect((await world.until(bad, "FAILED")).failure).toMatchObject({ code: "INTERNAL" });
  });
});

describe("an engine that stops", () => {
  it("leaves a runner's attempts running for the next one (G6)", async () => {
    await using world = await World.open();
    const queue = await world.workflow("held", [{ key: "a", script: "hold" }]);
    const first = await world.engine();
    const job = await queue();
    await until(world, async () => world.executor.started.length === 1);
    await world.stop(first);
    expect((await world.look(job)).steps).toEqual(["a:RUNNING(RUNNING)"]);
    await world.engine();
    await until(world, async () => world.executor.tasks.length === 2);
    expect((await world.released(job)).steps).toEqual(["a:SUCCEEDED(SUCCEEDED)"]);
  });

  it("keeps its lease while its own steps finish (G7)", async () => {
    await using world = await World.open();
    const local = new ScriptedExecutor("local:here");
    const queue = await world.workflow("held", [{ key: "a", script: "hold" }]);
    const env = { MAIA_LEASE_RENEW_MS: "10", MAIA_LEASE_TTL_MS: "5000" };
    const engine = await world.engine({ executor: local, env, drainMs: 30_000 });
    const job = await queue();
    await until(world, async () => local.started.length === 1);
    const beats = async () =>
      (await world.db.sql.get<{ heartbeatSeq: number }>(`SELECT "heartbeatSeq" FROM "Engine"`))!.heartbeatSeq;
    const stopping = world.stop(engine);
    const before = await beats();
    await until(world, async () => (await beats()) > before + 3);
    local.release();
    await stopping;
    expect((await world.look(job)).job).toBe("SUCCEEDED");
  });

  it("ends although the database takes no writes", async () => {
    await using world = await World.open();
    const engine = await world.engine();
    const hold = `const db = new (require("node:sqlite").DatabaseSync)(process.argv[1]);
      db.exec("BEGIN IMMEDIATE"); console.log("held"); process.stdin.resume();`;
    const holder = spawn(process.execPath, ["-e", hold, `${world.folder}/maia.db`], {
      stdio: ["pipe", "pipe", "ignore"],
    });
    await once(holder.stdout, "data");
    await world.stop(engine);
    holder.kill("SIGKILL");
    await once(holder, "exit");
  });
});

describe("runs of an engine that ended", () => {
  it("go before jobs that have not begun, however many wait", async () => {
    await using world = await World.open();
    await using other = await World.database(world.folder);
    const dead = new ScriptedExecutor("local:dead");
    const held = await world.workflow("held", [{ key: "a", script: "hold" }]);
    const gone = await world.engine({ executor: dead, env: { ...NEVER_BEATS, MAIA_RUN_CONCURRENCY: "1" } });
    const orphan = await held();
    await until(world, async () => dead.started.length === 1);
    const env = { MAIA_RUN_CONCURRENCY: "1", MAIA_LEASE_RENEW_MS: "10", MAIA_LEASE_TTL_MS: "5000" };
    const heir = await world.engine({ db: other, env });
    const ours = await held();
    await until(world, async () => world.executor.started.length === 1);
    await world.db.write((tx) =>
      tx.sql.run(`UPDATE "Engine" SET "endedAt" = "startedAt" WHERE "id" = ?`, gone.engineId),
    );
    const seq = () =>
      world.db.sql.get<{ n: number }>(`SELECT "heartbeatSeq" AS "n" FROM "Engine" WHERE "id" = ?`, heir.engineId);
    const from = (await seq())!.n;
    await until(world, async () => (await seq())!.n > from + 2);
    const late = await (await world.workflow("late", [{ key: "a", script: "ok" }]))();
    await world.released(late);
    const runs = await world.db.sql.all<{ id: string; jobRunId: string }>(`SELECT "id", "jobRunId" FROM "Run"`);
    const started = world.executor.started.map((key) => runs.find(({ id }) => key.startsWith(id))?.jobRunId);
    expect(started).toEqual([ours, orphan, late]);
    await world.stop(heir);
  });
});

describe("an engine that was declared dead", () => {
  it("claims nothing more", async () => {
    await using world = await World.open();
    await using other = await World.database(world.folder);
    const queue = await world.workflow("many", [{ key: "a", script: "ok" }]);
    await world.engine({ env: NEVER_BEATS });
    await world.db.write((tx) => tx.sql.run(`UPDATE "Engine" SET "endedAt" = "startedAt"`));
    const first = await queue();
    const heir = await world.engine({ db: other });
    await world.until(first, "SUCCEEDED");
    const rows = await world.db.sql.all<{ ownerId: string }>(`SELECT DISTINCT "ownerId" FROM "Run"`);
    expect(rows).toEqual([{ ownerId: heir.engineId }]);
    await world.stop(heir);
  });
});

describe("an engine that loses its lease while a step runs as its own process", () => {
  const env = { MAIA_LEASE_RENEW_MS: "10", MAIA_LEASE_TTL_MS: "5000" };
  const endLease = (world: World, engineId: string) =>
    world.db.write((tx) => endEngine(tx, engineId, null, new Date()));

  /** Lets all steps end well until the job has ended. */
  async function ended(world: World, executor: ScriptedExecutor, job: string) {
    return await until(world, async () => {
      executor.release();
      const seen = await world.look(job);
      return ["SUCCEEDED", "FAILED", "CANCELED"].includes(seen.job) && seen;
    });
  }

  it("records nothing of the kill that follows: the attempt is lost, and tried again by whoever takes the run over (G7, F18)", async () => {
    await using world = await World.open();
    await using other = await World.database(world.folder);
    const [ours, theirs] = [new ScriptedExecutor("local:ours"), new ScriptedExecutor("local:theirs")];
    const queue = await world.workflow("held", [{ key: "a", script: "hold" }]);
    const loser = await world.engine({ executor: ours, env: { ...env, MAIA_RUN_CONCURRENCY: "1" } });
    const job = await queue();
    await until(world, async () => ours.started.length === 1);
    const lost = loser.engineId;
    await endLease(world, lost);
    await until(world, async () => ours.cancels.length > 0);
    await world.engine({ executor: theirs, env, db: other });
    const seen = await Promise.race([ended(world, ours, job), ended(world, theirs, job)]);
    expect([seen.job, seen.steps]).toEqual(["SUCCEEDED", ["a:SUCCEEDED(LOST SUCCEEDED)"]]);
  });

  it("starts nothing of a run that it has let go of, although the write that opened it came through (G6, G7)", async () => {
    await using world = await World.open();
    const local = new ScriptedExecutor("local:here");
    const queue = await world.workflow("two", [
      { key: "a", script: "hold" },
      { key: "b", script: "ok", deps: ["a"] },
    ]);
    const hold = heldOpening(world.db, "b");
    const loser = await world.engine({ executor: local, env: { ...env, ...ONE_AT_A_TIME }, db: hold.db });
    const job = await queue();
    await until(world, async () => local.started.length === 1);
    local.release();
    await hold.held;
    const lost = loser.engineId;
    await endLease(world, lost);
    await until(world, async () => loser.engineId !== lost);
    hold.release();
    const seen = await ended(world, local, job);
    expect([seen.job, seen.steps]).toEqual(["SUCCEEDED", ["a:SUCCEEDED(SUCCEEDED)", "b:SUCCEEDED(LOST SUCCEEDED)"]]);
    expect(local.started.filter((key) => key.includes("/b"))).toEqual([expect.stringMatching(/b#2$/)]);
  });
});

/** A database that tells of the write which opens the first attempt of a step only once the test releases it. */
function heldOpening(db: Db, stepKey: string) {
  const [held, free] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let isHeld = false;
  const write: Db["write"] = async (fn, ...more) => {
    let isFirst = false;
    const result = await db.write(
      async (tx) => {
        const made = await fn(tx);
        isFirst = !isHeld && (await tx.sql.get(`SELECT 1 FROM "Attempt" WHERE "stepKey" = ?`, stepKey)) !== undefined;
        isHeld ||= isFirst;
        return made;
      },
      ...more,
    );
    if (isFirst) held.resolve();
    if (isFirst) await free.promise;
    return result;
  };
  const late = new Proxy(db, {
    get: (target, name) => {
      if (name === "write") return write;
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return { db: late, held: held.promise, release: () => free.resolve() };
}

describe("a limit of time", () => {
  const held = [
    { key: "a", script: "hold" },
    { key: "b", script: "ok", deps: ["a"] },
  ];

  it("of a run stops what runs, skips the rest, and is named", async () => {
    await using world = await World.open();
    const queue = await world.workflow("slow", held, { timeoutMs: 50 });
    await world.engine();
    const seen = await world.until(await queue(), "FAILED");
    expect(seen.steps).toEqual(["a:CANCELED(CANCELED)", "b:SKIPPED"]);
    expect(seen.failure).toMatchObject({ code: "STEP_TIMEOUT", message: expect.stringContaining("timeoutMs") });
  });

  it("of a run counts from its claim, also for whoever takes it over", async () => {
    await using world = await World.open();
    await using other = await World.database(world.folder);
    const queue = await world.workflow("slow", held, { timeoutMs: 600 });
    const first = await world.engine({ env: NEVER_BEATS });
    const job = await queue();
    await until(world, async () => world.executor.started.length === 1);
    await world.db.write((tx) => tx.sql.run(`UPDATE "Engine" SET "endedAt" = "startedAt"`));
    const heir = await world.engine({ db: other });
    expect((await world.until(job, "FAILED")).failure).toMatchObject({ code: "STEP_TIMEOUT" });
    await world.stop(heir);
    await world.stop(first);
  });

  it("of the queue fails a job that no engine had room for, and no other", async () => {
    await using world = await World.open();
    const queue = await world.workflow("held", held);
    await world.engine({ env: { MAIA_RUN_CONCURRENCY: "1" } });
    const runs = await queue();
    await until(world, async () => world.executor.started.length === 1);
    const [late, patient] = [await queue(), await queue()];
    await world.db.write(async (tx) => {
      const soon = toDbTime(new Date(Date.now() + 50));
      await tx.sql.run(`UPDATE "JobRun" SET "queueDeadline" = ? WHERE "id" = ?`, soon, late);
      tx.ring("engine");
    });
    const seen = await world.until(late, "FAILED");
    expect(seen.run).toBeNull();
    const row = await world.db.sql.get<{ failure: string }>(`SELECT "failure" FROM "JobRun" WHERE "id" = ?`, late);
    expect(JSON.parse(row!.failure)).toMatchObject({ code: "QUEUE_TIMEOUT" });
    expect((await world.look(patient)).job).toBe("QUEUED");
    await world.released(runs);
  });
});
