import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { ExecutorError, type Frame } from "@maia/runner-protocol";
import { firstOf, framesOf, openTestRunner, type TestRunner, until, upload } from "./support/runner.js";
import { aTask } from "./support/tasks.js";

let runner: TestRunner;
beforeEach(async () => {
  runner = await openTestRunner({ MAIA_RUNNER_SLOTS: "4" });
});
afterEach(async () => runner[Symbol.asyncDispose]());

const code = (code: string) => expect.objectContaining({ name: "ExecutorError", code });
const texts = (frames: readonly Frame[]) => frames.flatMap((frame) => (frame.type === "log" ? [frame.line] : []));
const exitOf = (frames: readonly Frame[]) => frames.find((frame) => frame.type === "exit");

async function aKnownTask(change = {}, at = runner) {
  const { task, bytes } = aTask(change);
  await upload(at.client, bytes);
  return task;
}

describe("an attempt at a runner", () => {
  it("starts once however often and however simultaneously it is sent, and everybody sees the same frames (G6, F50)", async () => {
    const task = await aKnownTask();
    const streams = await Promise.all([1, 2, 3, 4, 5].map(() => runner.client.exec(task)));
    runner.executor.play(task.attemptId).log("one", "two").exit();
    const all = await Promise.all(streams.map(framesOf));
    expect(runner.executor.started).toEqual([task.attemptId]);
    expect(all[0]).toMatchObject([{ type: "started" }, { line: "one" }, { line: "two" }, { type: "exit", lastSeq: 3 }]);
    for (const frames of all) expect(frames).toEqual(all[0]);
    expect(await framesOf(await runner.client.exec(task))).toEqual(all[0]);
    expect(runner.executor.started).toHaveLength(1);
  });

  it("is in the ledger on disk before it starts", async () => {
    const task = await aKnownTask();
    let ledger = "";
    const start = runner.executor.start.bind(runner.executor);
    runner.executor.start = (...args) => {
      const folder = join(runner.dir, "ledger");
      ledger = readdirSync(folder)
        .map((name) => readFileSync(join(folder, name), "utf8"))
        .join("");
      return start(...args);
    };
    runner.executor.play(task.attemptId).exit();
    await framesOf(await runner.client.exec(task));
    expect(ledger).toContain(task.attemptId);
  });

  it("can be followed from any frame, while it runs and afterwards", async () => {
    const task = await aKnownTask();
    const play = runner.executor.play(task.attemptId).log("one", "two", "three");
    await firstOf(await runner.client.exec(task), 4);
    const second = runner.client.attach(task.attemptId, 3).then(framesOf);
    const next = await runner.client.attach(task.attemptId, 5);
    play.log("four").exit();
    expect(texts(await second)).toEqual(["two", "three", "four"]);
    expect(texts(await framesOf(next))).toEqual(["four"]);
    expect(texts(await framesOf(await runner.client.attach(task.attemptId, 4)))).toEqual(["three", "four"]);
    expect(await framesOf(await runner.client.attach(task.attemptId, 6))).toMatchObject([{ type: "exit", lastSeq: 5 }]);
    await expect(runner.client.attach(task.attemptId, 99)).rejects.toEqual(code("REFUSED"));
  });

  it("goes on when its caller leaves (B100)", async () => {
    const task = await aKnownTask();
    await firstOf(await runner.client.exec(task), 1);
    runner.executor.play(task.attemptId).log("nobody listened").exit();
    expect(texts(await framesOf(await runner.client.attach(task.attemptId, 2)))).toEqual(["nobody listened"]);
    expect(runner.executor.canceled).toEqual([]);
  });

  it("belongs to the owner with the highest epoch; the older one is sent away and refused (B097)", async () => {
    const task = await aKnownTask({ epoch: 5 });
    const older = runner.client.exec(task).then(framesOf);
    await until("the attempt runs", () => runner.executor.started.length === 1);
    const newer = await runner.client.exec({ ...task, epoch: 6 });
    expect(exitOf(await older)).toBeUndefined();
    await expect(runner.client.exec(task)).rejects.toEqual(code("STALE_EPOCH"));
    await expect(runner.client.attach(task.attemptId, 1, { epoch: 5 })).rejects.toEqual(code("STALE_EPOCH"));
    const other = await aKnownTask({ runId: task.runId, epoch: 5 });
    await expect(runner.client.exec(other)).rejects.toEqual(code("STALE_EPOCH"));
    runner.executor.play(task.attemptId).exit();
    expect(exitOf(await framesOf(newer))).toMatchObject({ reason: "exited" });
    expect(runner.executor.started).toHaveLength(1);
  });

  it("is refused with the list of what is missing, and nothing is remembered", async () => {
    const { task, bytes } = aTask();
    await runner.client.putBlob(task.input.sha256, { bytes: bytes.get(task.input.sha256)! });
    await expect(runner.client.exec(task)).rejects.toMatchObject({
      code: "BLOB_MISSING",
      missing: [task.script.sha256],
    });
    await expect(runner.client.attach(task.attemptId, 1)).rejects.toEqual(code("ATTEMPT_UNKNOWN"));
    await upload(runner.client, bytes);
    runner.executor.play(task.attemptId).exit();
    expect(exitOf(await framesOf(await runner.client.exec(task)))).toBeDefined();
  });

  it("may bring small content along, whose hash must be right", async () => {
    const { task, bytes } = aTask();
    runner.executor.play(task.attemptId).exit();
    const wrong = new Map([[task.input.sha256, Buffer.from("other bytes")]]);
    await expect(runner.client.exec(task, { inline: wrong })).rejects.toEqual(code("REFUSED"));
    expect(exitOf(await framesOf(await runner.client.exec(task, { inline: bytes })))).toMatchObject({ exitCode: 0 });
    expect(await runner.client.hasBlob(task.input.sha256)).toBe(false);
  });

  it("is refused while all slots are taken, and nothing is remembered", async () => {
    const running = await Promise.all([1, 2, 3, 4].map(() => aKnownTask()));
    for (const task of running) await firstOf(await runner.client.exec(task), 1);
    const task = await aKnownTask();
    await expect(runner.client.exec(task)).rejects.toEqual(code("BUSY"));
    await expect(runner.client.attach(task.attemptId, 1)).rejects.toEqual(code("ATTEMPT_UNKNOWN"));
    runner.executor.play(running[0]!.attemptId).exit();
    await until("a slot is free", async () => (await runner.client.healthz()).running === 3);
    runner.executor.play(task.attemptId).exit();
    expect(exitOf(await framesOf(await runner.client.exec(task)))).toBeDefined();
  });

  it("is refused where the isolation that it demands cannot be had", async () => {
    const task = await aKnownTask({ isolation: "sandbox" });
    await expect(runner.client.exec(task)).rejects.toEqual(code("ISOLATION_UNAVAILABLE"));
    expect(runner.executor.started).toEqual([]);
  });

  it("is refused by a ledger that it is not bound to, and starts nowhere", async () => {
    const task = await aKnownTask();
    await expect(runner.client.exec(task, { ledgerId: "led_other" })).rejects.toEqual(code("LEDGER_CHANGED"));
    expect(runner.executor.started).toEqual([]);
  });

  it("never starts once a later attempt of its step has begun, also after a restart (G6)", async () => {
    const late = await aKnownTask({ runId: "run_late", stepKey: "s", attemptNo: 1 });
    const next = await aKnownTask({ runId: "run_late", stepKey: "s", attemptNo: 2 });
    runner.executor.play(next.attemptId).exit();
    const stream = await runner.client.exec(next);
    await expect(runner.client.exec(late)).rejects.toEqual(code("ATTEMPT_LOST"));
    await framesOf(stream);
    await runner.stop();
    await using again = await openTestRunner({}, runner.dir);
    await expect(again.client.exec(late)).rejects.toEqual(code("ATTEMPT_LOST"));
    expect([runner.executor.started, again.executor.started]).toEqual([[next.attemptId], []]);
  });

  it("never starts after a cancel that came before it (G16)", async () => {
    const task = await aKnownTask();
    await expect(runner.client.cancel(task.attemptId, "stop")).rejects.toEqual(code("ATTEMPT_UNKNOWN"));
    await runner.client.cancel(task.attemptId, "stop");
    expect(await framesOf(await runner.client.exec(task))).toEqual([
      expect.objectContaining({ type: "exit", lastSeq: 0, reason: "canceled" }),
    ]);
    expect(runner.executor.started).toEqual([]);
  });

  it("can be canceled again and again, also when it has ended", async () => {
    const task = await aKnownTask();
    const stream = await runner.client.exec(task);
    await runner.client.cancel(task.attemptId, "stop");
    expect(exitOf(await framesOf(stream))).toMatchObject({ reason: "canceled" });
    await runner.client.cancel(task.attemptId, "kill");
    expect(runner.executor.canceled).toEqual([[task.attemptId, "stop"]]);
  });

  it.each([
    [
      "fails",
      (attemptId: string) => runner.executor.play(attemptId).log("one").fail(new ExecutorError("ATTEMPT_LOST", "gone")),
    ],
    ["just ends", (attemptId: string) => runner.executor.play(attemptId).log("one").end()],
  ])("ends as lost when its executor %s", async (_how, play) => {
    const task = await aKnownTask();
    play(task.attemptId);
    const frames = await framesOf(await runner.client.exec(task));
    expect(exitOf(frames)).toMatchObject({
      lastSeq: 2,
      reason: "lost",
      exitCode: null,
      error: { code: "RUNNER_LOST" },
    });
  });

  it("fails with OUTPUT_INVALID, and its stream does not break, when the wire cannot carry what its step left", async () => {
    const task = await aKnownTask();
    let deep: object = {};
    for (let depth = 0; depth < 100; depth++) deep = { deep };
    runner.executor.play(task.attemptId).artifact("..\\secret").output({ deep }).exit();
    const frames = await framesOf(await runner.client.exec(task));
    expect(frames.map(({ type }) => type)).toEqual(["started", "log", "log", "exit"]);
    expect(texts(frames)).toEqual([expect.stringContaining("is not kept"), expect.stringContaining("deeper than 64")]);
    expect(exitOf(frames)).toMatchObject({ lastSeq: 3, exitCode: 0, error: { code: "OUTPUT_INVALID" } });
  });

  it("fails as one that could not be started when its executor refuses it after all", async () => {
    const task = await aKnownTask();
    runner.executor.start = () => {
      throw new ExecutorError("REFUSED", "not like this");
    };
    const frames = await framesOf(await runner.client.exec(task));
    expect(frames).toMatchObject([
      { type: "exit", lastSeq: 0, reason: "spawn_failed", error: { message: "not like this" } },
    ]);
  });

  it("is killed when nobody has asked about it for its window, and says so", async () => {
    const task = await aKnownTask({ reconnectWindowMs: 150 });
    await firstOf(await runner.client.exec(task), 1);
    await until("the tree is killed", () => runner.executor.canceled.length > 0);
    expect(runner.executor.canceled).toEqual([[task.attemptId, "kill"]]);
    expect(exitOf(await framesOf(await runner.client.attach(task.attemptId, 1)))).toMatchObject({
      reason: "lost",
      error: { code: "RUNNER_LOST" },
    });
  });

  it("lives while somebody is connected, or names it again and again", async () => {
    const task = await aKnownTask({ reconnectWindowMs: 150 });
    const connected = framesOf(await runner.client.exec(task));
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(runner.executor.canceled).toEqual([]);
    const promised = await aKnownTask({ reconnectWindowMs: 150 });
    const named = framesOf(await runner.client.exec(promised, { aliveMs: 50 }));
    for (let i = 0; i < 8; i++) {
      await runner.client.alive([promised.attemptId]);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(runner.executor.canceled).toEqual([]);
    await until("the tree of the silent one is killed", () => runner.executor.canceled.length > 0); // its connection is open still
    expect(exitOf(await named)).toMatchObject({ reason: "lost" });
    runner.executor.play(task.attemptId).exit();
    expect(exitOf(await connected)).toMatchObject({ reason: "exited" });
  });

  it("brings its whole log to a slow reader and to one that comes late, through files larger than a read", async () => {
    const task = await aKnownTask();
    const play = runner.executor.play(task.attemptId);
    const lines = Array.from({ length: 40 }, (_, index) => `${index}:${"x".repeat(30_000)}`);
    const stream = await runner.client.exec(task);
    for (const line of lines) play.log(line);
    play.log("y".repeat(700_000)).exit();
    const slow: Frame[] = [];
    for await (const batch of stream) {
      slow.push(...batch);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    const expected = [...lines, "y".repeat(700_000)];
    expect(texts(slow)).toEqual(expected);
    for (const from of [1, 2, 17, 41, 42, 43]) {
      expect(texts(await framesOf(await runner.client.attach(task.attemptId, from)))).toEqual(
        expected.slice(Math.max(from - 2, 0)),
      );
    }
  });

  it("survives a restart once it has ended", async () => {
    const task = await aKnownTask();
    runner.executor.play(task.attemptId).log("kept").exit();
    const frames = await framesOf(await runner.client.exec(task));
    await runner.stop();
    await using again = await openTestRunner({}, runner.dir);
    expect((await again.client.healthz()).ledgerId).toBe(runner.runner.ledgerId);
    expect(await framesOf(await again.client.attach(task.attemptId, 1))).toEqual(frames);
    expect(await framesOf(await again.client.exec(task))).toEqual(frames);
    expect(again.executor.started).toEqual([]);
  });
});

describe("a runner that is told to stop", () => {
  it("lets what runs end, and takes nothing new meanwhile (F27)", async () => {
    await using patient = await openTestRunner({ MAIA_DRAIN_LIMIT_MS: "60000" });
    const [task, other] = [await aKnownTask({}, patient), await aKnownTask({}, patient)];
    const stream = await patient.client.exec(task);
    const stopped = patient.stop();
    await until("it says that it is stopping", async () => (await patient.client.healthz()).stopping);
    await expect(patient.client.exec(other)).rejects.toEqual(code("BUSY"));
    patient.executor.play(task.attemptId).log("last words").exit();
    expect(exitOf(await framesOf(stream))).toMatchObject({ reason: "exited" });
    await stopped;
  });

  it("kills what is left after the drain limit, as lost and not as canceled (G22)", async () => {
    await using hasty = await openTestRunner({ MAIA_DRAIN_LIMIT_MS: "100" });
    const { task, bytes } = aTask();
    await upload(hasty.client, bytes);
    const stream = await hasty.client.exec(task);
    const stopped = hasty.stop();
    expect(exitOf(await framesOf(stream))).toMatchObject({ reason: "lost", error: { code: "DRAIN_TIMEOUT" } });
    await stopped;
  });
});
