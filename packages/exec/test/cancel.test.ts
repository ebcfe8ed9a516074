import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import type { Task } from "@maia/runner-protocol";
import { levelsHere, newMark, Outcome, processesMarked, sleepMarked, until, Workshop } from "./kit.js";

const levels = await levelsHere();

/** Trees that do not want to go. The sleep's length is the mark by which anybody can find it. */
const TREES = {
  "ignores SIGTERM": (sleep: string) => `trap '' TERM; ${sleep} & ${sleep}`,
  "left for a session of its own": (sleep: string) => `setsid ${sleep} & ${sleep}`,
  "double-forked": (sleep: string) => `(setsid sh -c '(${sleep} &)' &); ${sleep}`,
  "stopped itself": (sleep: string) => `${sleep} & sleep 0.2; kill -STOP $!; kill -STOP $$`,
  "ignores SIGTERM in a session of its own": (sleep: string) => `setsid sh -c "trap '' TERM; ${sleep}" & wait`,
};

describe.each(levels)("a cancel at the level %s", (level) => {
  let workshop: Workshop;
  beforeAll(async () => {
    workshop = await Workshop.open(level);
  });
  afterAll(() => workshop[Symbol.asyncDispose]());

  /** Starts a step and gives back its end, once its tree is up. */
  async function started(script: string, mark: string, members: number, changes: Partial<Task> = {}) {
    const task = workshop.task("shell", script, { graceMs: 300, ...changes } as never);
    const outcome = workshop.run(task);
    await until(() => processesMarked(mark).length >= members);
    return { task, outcome };
  }

  it.each(Object.entries(TREES))("ends a tree that %s (G16)", async (_name, tree) => {
    const mark = newMark();
    const { task, outcome } = await started(tree(sleepMarked(mark)), mark, 1);
    await workshop.executor.cancel(task.attemptId, "stop");
    const { exit } = await outcome;
    expect(exit).toMatchObject({ reason: "canceled", error: null });
    expect(processesMarked(mark)).toEqual([]);
  });

  it("ends at once when it is not asked to wait (G16)", async () => {
    const mark = newMark();
    const { task, outcome } = await started(`trap '' TERM; ${sleepMarked(mark)} & wait`, mark, 1, { graceMs: 60_000 });
    await workshop.executor.cancel(task.attemptId, "stop");
    await workshop.executor.cancel(task.attemptId, "kill");
    expect((await outcome).exit).toMatchObject({ reason: "canceled" });
    expect(processesMarked(mark)).toEqual([]);
  });

  it("lets a step clean up that looks at its signal", async () => {
    const node = `
      export default async ({ signal, artifacts }) => {
        console.log("waiting");
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        await artifacts.write("saved.txt", "half");
        console.log("saved");
      };`;
    const python = [
      "import time",
      "def main(ctx):",
      "  signal = ctx.signal",
      "  print('waiting')",
      "  while not signal.aborted: time.sleep(0.01)",
      "  ctx.artifacts.write('saved.txt', 'half')",
      "  print('saved')",
    ].join("\n");
    for (const task of [workshop.task("node", node), workshop.task("python", python)]) {
      const frames = [];
      for await (const batch of workshop.executor.start(task, workshop.find)) {
        frames.push(...batch);
        if (batch.some((frame) => frame.type === "log" && frame.line === "waiting")) {
          await workshop.executor.cancel(task.attemptId, "stop");
        }
      }
      const run = new Outcome(frames);
      expect(run.exit.reason).toBe("canceled");
      expect(run.lines("stdout")).toEqual(["waiting", "saved"]);
      expect(run.artifacts.map(({ name }) => name)).toEqual(["saved.txt"]);
    }
  });

  it.each(["node", "python", "shell"] as const)(
    "ends a %s step that does not look, on the first asking",
    async (runtime) => {
      const scripts = {
        node: "console.log('up'); export default () => new Promise(() => setInterval(() => {}, 1000));",
        python: "import time\nprint('up')\ndef main(ctx):\n  time.sleep(600)",
        shell: "echo up; sleep 600",
      };
      const task = workshop.task(runtime, scripts[runtime], { graceMs: 60_000 });
      let exit: unknown;
      for await (const batch of workshop.executor.start(task, workshop.find)) {
        if (batch.some((frame) => frame.type === "log")) await workshop.executor.cancel(task.attemptId, "stop");
        exit = batch.at(-1);
      }
      expect(exit).toMatchObject({ type: "exit", reason: "canceled", exitCode: null, signal: "SIGTERM" });
    },
  );

  it("is a time limit's way too, however the tree resists", async () => {
    const mark = newMark();
    const task = workshop.task("shell", `trap '' TERM; setsid ${sleepMarked(mark)} & wait; wait`, {
      timeoutMs: 200,
      graceMs: 200,
    });
    const { exit } = await workshop.run(task);
    expect(exit).toMatchObject({ reason: "timeout" });
    expect(processesMarked(mark)).toEqual([]);
  });

  it("and an end at the same moment leave exactly one end, whichever it is (F37)", async () => {
    const outcomes = Array.from({ length: 40 }, async (_, at) => {
      const task = workshop.task("shell", ":", { graceMs: 1_000 });
      const outcome = workshop.run(task);
      await new Promise((resolve) => setTimeout(resolve, at / 2));
      await workshop.executor.cancel(task.attemptId, at % 2 ? "stop" : "kill");
      return await outcome;
    });
    for (const { frames, exit } of await Promise.all(outcomes)) {
      expect(frames.filter(({ type }) => type === "exit")).toHaveLength(1);
      expect(["exited", "canceled"]).toContain(exit.reason);
      if (exit.reason === "exited") expect(exit.exitCode).toBe(0);
    }
  });
});

describe("a time limit", () => {
  it("may be longer than Node's timers reach (A19)", async () => {
    await using workshop = await Workshop.open("auto");
    const { exit } = await workshop.run(workshop.task("shell", "sleep 0.2", { timeoutMs: 2 ** 40, graceMs: 2 ** 40 }));
    expect(exit).toMatchObject({ reason: "exited", exitCode: 0 });
  });
});
