import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import type { Frame, Task } from "@maia/runner-protocol";
import { aMarker, processesWith, RunnerHome, type RunnerProcess } from "./support/process.js";
import { firstOf, framesOf, until, upload } from "./support/runner.js";
import { aTask } from "./support/tasks.js";

let home: RunnerHome;
beforeEach(async () => {
  home = await RunnerHome.open();
});
afterEach(async () => home[Symbol.asyncDispose]());

const code = (code: string) => expect.objectContaining({ name: "ExecutorError", code });
const exitOf = (frames: readonly Frame[]) => frames.find((frame) => frame.type === "exit");
const texts = (frames: readonly Frame[]) =>
  frames.flatMap((frame) => (frame.type === "log" && frame.stream === "stdout" ? [frame.line] : []));

async function aKnownTask(runner: RunnerProcess, change: Partial<Task>, script?: string): Promise<Task> {
  const { task, bytes } = aTask(change, script);
  await upload(runner.client, bytes);
  return task;
}

/** A step that says "up" and then sleeps, with a child that left its session; the marker is in both command lines. */
const sleeper = (marker: string) => `#!/bin/sh\nsetsid sleep ${marker} &\necho up\nsleep ${marker}\n`;

/** Starts a sleeping step, and leaves it once it runs. */
async function aSleeper(runner: RunnerProcess, change: Partial<Task> = {}): Promise<{ task: Task; marker: string }> {
  const marker = aMarker();
  const task = await aKnownTask(runner, { runtime: "shell", ...change }, sleeper(marker));
  for await (const batch of await runner.client.exec(task)) if (texts(batch).includes("up")) break;
  await until("the step's processes are there", async () => (await processesWith(marker)) >= 2);
  return { task, marker };
}

describe("a runner's process", () => {
  it("runs a step and gives back its frames, and its artifacts by hash", async () => {
    const runner = await home.start();
    const script = `export default async (ctx) => {
      console.log("hello é日🙂");
      await ctx.artifacts.write("report.md", "# Report");
      return { answer: 42 };
    };\n`;
    const task = await aKnownTask(runner, {}, script);
    const frames = await framesOf(await runner.client.exec(task));
    const sha256 = createHash("sha256").update("# Report").digest("hex");
    expect(frames[0]).toMatchObject({ type: "started", seq: 1, attemptId: task.attemptId });
    expect(texts(frames)).toEqual(["hello é日🙂"]);
    expect(frames).toContainEqual({
      type: "artifact",
      seq: expect.any(Number),
      name: "report.md",
      sha256,
      sizeBytes: 8,
      mime: expect.any(String),
    });
    expect(frames).toContainEqual({ type: "output", seq: expect.any(Number), data: { answer: 42 } });
    expect(exitOf(frames)).toMatchObject({ lastSeq: frames.length - 1, exitCode: 0, reason: "exited" });
    expect(await runner.client.hasBlob(sha256)).toBe(true);
  });

  it("does not share its data directory, and says who has it", async () => {
    const first = await home.start();
    await expect(home.start()).rejects.toThrow(/Another runner \(process \d+\) uses the data directory/);
    first.kill("SIGKILL");
    await first.ended;
    const second = await home.start();
    expect((await second.client.healthz()).ok).toBe(true);
  });

  it("blames nobody else for a data directory that it cannot lock", async () => {
    await writeFile(join(home.dir, "lock"), "no lock of a runner\n".repeat(100));
    await expect(home.start()).rejects.toThrow(
      /data directory .* cannot be used: .*lock: .*not a database.* Set MAIA_RUN/,
    );
  });

  it("does not start where it cannot say that the folder is its own", async () => {
    await mkdir(join(home.dir, "owner"));
    await expect(home.start()).rejects.toThrow(/data directory .* cannot be used: .*owner.* Set MAIA_RUNNER_DATA_DIR/);
  });

  it("does not start where the file system takes no folders, and says so", async () => {
    await expect(home.start({ MAIA_RUNNER_DATA_DIR: "/proc/runner/own" })).rejects.toThrow(
      /data directory \/proc\/runner\/own cannot be used: .* Set MAIA_RUNNER_DATA_DIR/,
    );
  });

  it("does not start without a token, with one line that says so", async () => {
    await expect(home.start({ RUNNER_TOKEN: "" })).rejects.toThrow(
      /the runner ended with 2: maia runner: RUNNER_TOKEN is not set/,
    );
  });

  it("takes its steps along when it is killed, and answers that they are lost ever after (F25, G17)", async () => {
    const runner = await home.start();
    const { task, marker } = await aSleeper(runner);
    const { ledgerId } = await runner.client.healthz();
    runner.kill("SIGKILL");
    await until("no process of the step is left", async () => (await processesWith(marker)) === 0, 5_000);
    await runner.ended;
    for (let restarts = 0; restarts < 2; restarts++) {
      const again = await home.start();
      expect((await again.client.healthz()).ledgerId).toBe(ledgerId);
      await expect(again.client.exec(task)).rejects.toEqual(code("ATTEMPT_LOST"));
      await expect(again.client.attach(task.attemptId, 1)).rejects.toEqual(code("ATTEMPT_LOST"));
      expect(await processesWith(marker)).toBe(0);
      again.kill("SIGKILL");
      await again.ended;
    }
  });

  it("delivers the end of a step that nobody had heard of when it was killed (F26)", async () => {
    const runner = await home.start();
    const task = await aKnownTask(runner, { runtime: "shell" }, "echo one\nsleep 0.3\necho two\n");
    await firstOf(await runner.client.exec(task), 1);
    const spool = join(home.dir, "spool", `${task.attemptId}.ndjson`);
    await until("the exit is in the spool", async () => (await readFile(spool, "utf8")).includes('"type":"exit"'));
    runner.kill("SIGKILL");
    await runner.ended;
    const again = await home.start();
    const frames = await framesOf(await again.client.attach(task.attemptId, 2));
    expect(texts(frames)).toEqual(["one", "two"]);
    expect(exitOf(frames)).toMatchObject({ exitCode: 0, reason: "exited" });
    const replayed = await framesOf(await again.client.exec(task));
    expect(exitOf(replayed)).toEqual(exitOf(frames));
    expect(replayed.filter(({ type }) => type === "started")).toHaveLength(1);
  });

  it("starts a step once, though its request comes many times at once and again afterwards (F50, G6)", async () => {
    const runner = await home.start();
    const task = await aKnownTask(runner, { runtime: "shell" }, "cat /proc/sys/kernel/random/uuid\nsleep 0.3\n");
    const many = await Promise.all(Array.from({ length: 8 }, async () => framesOf(await runner.client.exec(task))));
    const later = await framesOf(await runner.client.exec(task));
    const [first] = texts(later);
    expect(first).toMatch(/^[0-9a-f-]{36}$/);
    for (const frames of [...many, later]) expect(texts(frames)).toEqual([first]);
  });

  it("kills the tree of a step that nobody has asked about for its window (G16)", async () => {
    const runner = await home.start();
    const { task, marker } = await aSleeper(runner, { reconnectWindowMs: 700 });
    expect(await processesWith(marker)).toBeGreaterThan(0);
    await until("no process of the step is left", async () => (await processesWith(marker)) === 0, 5_000);
    expect(exitOf(await framesOf(await runner.client.attach(task.attemptId, 1)))).toMatchObject({
      reason: "lost",
      error: { code: "RUNNER_LOST" },
    });
  });

  it("leaves a step alone while its caller is away for less than its window (B100)", async () => {
    const runner = await home.start();
    const { task, marker } = await aSleeper(runner, { reconnectWindowMs: 1_500 });
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(await processesWith(marker)).toBeGreaterThan(0);
    const stream = await runner.client.attach(task.attemptId, 1);
    await runner.client.cancel(task.attemptId, "stop");
    expect(exitOf(await framesOf(stream))).toMatchObject({ reason: "canceled" });
    expect(await processesWith(marker)).toBe(0);
  });

  it("lets its steps end when it is told to stop, and takes no new ones (F27, G22)", async () => {
    const runner = await home.start();
    const task = await aKnownTask(runner, { runtime: "shell" }, "echo one\nsleep 1\necho two\n");
    const other = await aKnownTask(runner, { runtime: "shell" }, "echo never\n");
    const stream = await runner.client.exec(task);
    const frames = framesOf(stream);
    await until("the step runs", async () => (await runner.client.healthz()).running === 1);
    runner.kill("SIGTERM");
    await until("it says that it is stopping", async () => (await runner.client.healthz()).stopping);
    await expect(runner.client.exec(other)).rejects.toEqual(code("BUSY"));
    expect(texts(await frames)).toEqual(["one", "two"]);
    expect(exitOf(await frames)).toMatchObject({ exitCode: 0, reason: "exited" });
    expect(await runner.ended).toMatchObject({ code: 0 });
    const again = await home.start();
    await expect(again.client.attach(other.attemptId, 1)).rejects.toEqual(code("ATTEMPT_UNKNOWN"));
  });

  it("kills what is left after its drain limit, and delivers that it was lost", async () => {
    const runner = await home.start({ MAIA_DRAIN_LIMIT_MS: "300" });
    const { task, marker } = await aSleeper(runner);
    const frames = framesOf(await runner.client.attach(task.attemptId, 1));
    runner.kill("SIGTERM");
    expect(exitOf(await frames)).toMatchObject({ reason: "lost", error: { code: "DRAIN_TIMEOUT" } });
    expect(await runner.ended).toMatchObject({ code: 0 });
    expect(await processesWith(marker)).toBe(0);
  });
});
