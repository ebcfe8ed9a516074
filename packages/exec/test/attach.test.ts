import { describe, expect, it } from "@jest/globals";
import type { Frame } from "@maia/runner-protocol";
import { Outcome, Workshop } from "./kit.js";

async function all(frames: AsyncIterable<readonly Frame[]>): Promise<Outcome> {
  const found: Frame[] = [];
  for await (const batch of frames) found.push(...batch);
  return new Outcome(found);
}

describe("an attempt", () => {
  it("that is started again is the same one: it runs once, and both see all of it (G6, F50)", async () => {
    await using workshop = await Workshop.open();
    const task = workshop.task("shell", "echo run >&2; sleep 0.2; echo end");
    const [first, second] = await Promise.all([workshop.run(task), workshop.run(task)]);
    const third = await workshop.run(task);
    expect(second.frames).toEqual(first.frames);
    expect(third.frames).toEqual(first.frames);
    expect(first.lines()).toEqual(["run", "end"]);
  });

  it("is followed again from any frame, while it runs and after it", async () => {
    await using workshop = await Workshop.open();
    const task = workshop.task("shell", "seq 1 100; sleep 0.2; seq 101 200");
    const whole = workshop.run(task);
    const late = await all(workshop.executor.attach(task.attemptId, 50));
    expect(late.frames).toEqual((await whole).frames.filter((frame) => !("seq" in frame) || frame.seq >= 50));
    expect((await all(workshop.executor.attach(task.attemptId, 10_000))).frames.map(({ type }) => type)).toEqual([
      "exit",
    ]);
  });

  it("goes on although nobody follows it any more", async () => {
    await using workshop = await Workshop.open();
    const task = workshop.task("shell", "sleep 0.1; echo '{\"done\":true}' > $MAIA_OUTPUT_PATH");
    for await (const batch of workshop.executor.start(task, workshop.find)) if (batch.length > 0) break;
    expect((await all(workshop.executor.attach(task.attemptId, 1))).output).toEqual({ done: true });
  });

  it("whose first frames are no longer kept says so instead of skipping them", async () => {
    await using workshop = await Workshop.open();
    const task = workshop.task("shell", "seq -f '%.0f a line that takes some room in memory' 1 100000");
    await workshop.run(task);
    await expect(all(workshop.executor.attach(task.attemptId, 1))).rejects.toMatchObject({ code: "ATTEMPT_LOST" });
  });

  it("that was never started is unknown", async () => {
    await using workshop = await Workshop.open();
    await expect(all(workshop.executor.attach("att_never", 1))).rejects.toMatchObject({ code: "ATTEMPT_UNKNOWN" });
    await expect(workshop.executor.cancel("att_never", "stop")).rejects.toMatchObject({ code: "ATTEMPT_UNKNOWN" });
  });

  it("of an older owner is refused once a newer one has been seen (G7)", async () => {
    await using workshop = await Workshop.open();
    const task = workshop.task("shell", ":", { epoch: 5 });
    await workshop.run(task);
    await expect(workshop.run({ ...task, epoch: 4 })).rejects.toMatchObject({ code: "STALE_EPOCH" });
  });

  it("that names content which is not there records nothing", async () => {
    await using workshop = await Workshop.open();
    const missing = "0".repeat(64);
    const task = workshop.task("shell", ":");
    const without = { ...task, script: { sha256: missing } };
    await expect(workshop.run(without)).rejects.toMatchObject({ code: "BLOB_MISSING", missing: [missing] });
    expect((await workshop.run(task)).exit.exitCode).toBe(0);
  });

  it.each(["MAIA_X", "PATH", "HOME", "LD_PRELOAD", "NODE_OPTIONS", "PYTHONSTARTUP", "BASH_ENV", "a-b", "1A", ""])(
    "may not set the variable %p",
    async (name) => {
      await using workshop = await Workshop.open();
      await expect(workshop.run(workshop.task("shell", ":", { env: { [name]: "x" } }))).rejects.toMatchObject({
        code: "REFUSED",
      });
      await expect(workshop.run(workshop.task("shell", ":", { secrets: { [name]: "x" } }))).rejects.toMatchObject({
        code: "REFUSED",
      });
    },
  );

  it.each(["../x", "/etc/x", "a/../../x", "a\nb", "a//b", ""])("may not have a file at %p", async (path) => {
    await using workshop = await Workshop.open();
    await expect(workshop.run(workshop.task("shell", ":", { files: { [path]: "x" } }))).rejects.toMatchObject({
      code: "REFUSED",
    });
  });

  it("that installs dependencies has nothing to do yet", async () => {
    await using workshop = await Workshop.open();
    const run = await workshop.run(workshop.task("node", "", { kind: "deps" }));
    expect(run.frames.map(({ type }) => type)).toEqual(["log", "output", "exit"]);
  });
});
