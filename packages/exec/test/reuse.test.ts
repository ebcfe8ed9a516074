import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { levelsHere, newMark, processesMarked, sleepMarked, until, Workshop } from "./kit.js";

const levels = await levelsHere();
const COUNTING =
  "let n = 0; export default ({ params, run }) => ({ n: ++n, params, attempt: run.attemptId, pid: process.pid });";

describe.each(levels)("a reused process at the level %s", (level) => {
  let workshop: Workshop;
  let key = 0;
  beforeAll(async () => {
    workshop = await Workshop.open(level, { poolSize: 1, reuseProcesses: 1 });
  });
  afterAll(() => workshop[Symbol.asyncDispose]());

  const nextKey = (): { reuseKey: string } => ({ reuseKey: `key-${key++}` });

  it("serves attempts of one key one after another, and the frames say so", async () => {
    const reuse = nextKey();
    const tasks = [1, 2, 3].map((a) => workshop.task("node", COUNTING, { ...reuse, initialInput: { a } }));
    const runs = await Promise.all(tasks.map((task) => workshop.run(task)));
    expect(runs.map(({ output }) => output!.n)).toEqual([1, 2, 3]);
    expect(runs.map(({ output }) => output!.params)).toEqual([{ a: 1 }, { a: 2 }, { a: 3 }]);
    expect(runs.map(({ output }) => output!.attempt)).toEqual(tasks.map(({ attemptId }) => attemptId));
    for (const { frames, exit } of runs) {
      expect(frames.map(({ type }) => type)).toEqual(["started", "output", "exit"]);
      expect(frames[0]).toMatchObject({ reused: true, isolation: level });
      expect(exit).toEqual({ type: "exit", lastSeq: 2, exitCode: 0, signal: null, reason: "exited", error: null });
    }
  });

  it("does the same in python", async () => {
    const reuse = nextKey();
    const script =
      "n = []\ndef main(ctx):\n  n.append(1)\n  print('call', len(n))\n  return {'n': len(n), 'p': ctx.params}";
    const runs = [];
    for (const a of [1, 2])
      runs.push(await workshop.run(workshop.task("python", script, { ...reuse, initialInput: { a } })));
    expect(runs.map(({ output }) => output)).toEqual([
      { n: 1, p: { a: 1 } },
      { n: 2, p: { a: 2 } },
    ]);
    expect(runs.map((run) => run.lines())).toEqual([["call 1"], ["call 2"]]);
  });

  it("that ends between two attempts costs the next one nothing but a try, and never hangs", async () => {
    const reuse = nextKey();
    const script = "export default () => { setImmediate(() => process.exit(0)); return {}; }";
    const reasons = new Set<string>();
    for (let i = 0; i < 12; i++) {
      const { exit } = await workshop.run(workshop.task("node", script, reuse));
      reasons.add(exit.reason);
    }
    expect([...reasons].every((reason) => reason === "exited" || reason === "lost")).toBe(true);
  });

  it("gives back an output that may not be one, and is told so", async () => {
    const deep = "(() => { let v = {}; for (let i = 0; i < 2000; i++) v = { v }; return v; })()";
    for (const value of [`JSON.parse('{"__proto__":1}')`, deep]) {
      const { exit } = await workshop.run(workshop.task("node", `export default () => (${value})`, nextKey()));
      expect(exit).toMatchObject({ exitCode: 1, error: { code: "OUTPUT_INVALID" } });
    }
  });

  it("does not change a number that it cannot keep, but refuses it", async () => {
    const script = "def main(ctx):\n  return {'x': 12345678901234567890, 'text': '12345678901234567890'}";
    const { exit } = await workshop.run(workshop.task("python", script, nextKey()));
    expect(exit).toMatchObject({ error: { code: "OUTPUT_INVALID", message: expect.stringContaining("exactly") } });
  });

  it("belongs to its key alone", async () => {
    const [one, two] = [nextKey(), nextKey()];
    const first = await workshop.run(workshop.task("node", COUNTING, one));
    const second = await workshop.run(workshop.task("node", COUNTING, two));
    expect([first.output!.n, second.output!.n]).toEqual([1, 1]);
  });

  it("serves several scripts of its version", async () => {
    const reuse = nextKey();
    const other = "export default () => ({ other: true });";
    const outputs = [];
    for (const script of [COUNTING, other, COUNTING]) {
      outputs.push((await workshop.run(workshop.task("node", script, reuse))).output);
    }
    expect(outputs).toEqual([expect.objectContaining({ n: 1 }), { other: true }, expect.objectContaining({ n: 2 })]);
  });

  it("gives each attempt its own log, although one process prints all", async () => {
    const reuse = nextKey();
    const script = `
      import { spawnSync } from "node:child_process";
      export default ({ params }) => {
        for (let i = 0; i < 500; i++) console.log("out", params.a, i);
        spawnSync("sh", ["-c", "echo child " + params.a + "; echo err " + params.a + " >&2"], { stdio: "inherit" });
        process.stdout.write("no newline " + params.a);
      };`;
    const runs = await Promise.all(
      [1, 2, 3].map((a) => workshop.run(workshop.task("node", script, { ...reuse, initialInput: { a } }))),
    );
    for (const [at, run] of runs.entries()) {
      const a = at + 1;
      const out = Array.from({ length: 500 }, (_, i) => `out ${a} ${i}`);
      expect(run.lines("stdout")).toEqual([...out, `child ${a}`, `no newline ${a}`]);
      expect(run.lines("stderr")).toEqual([`err ${a}`]);
    }
  });

  it("starts each attempt in an empty folder, with its own input and environment", async () => {
    const reuse = nextKey();
    const script = `
      import fs from "node:fs";
      export default ({ params, artifacts }) => {
        const found = { cwd: process.cwd(), work: fs.readdirSync("."), artifacts: fs.readdirSync("artifacts"),
          run: fs.readdirSync(process.env.MAIA_RUN_DIR), input: JSON.parse(fs.readFileSync(process.env.MAIA_INPUT_PATH, "utf8")).initialInput,
          env: { ...process.env } };
        fs.writeFileSync("left", "x"); fs.mkdirSync("left.d/deep", { recursive: true }); fs.writeFileSync("artifacts/" + params.a, "x");
        process.env.ADDED = "x"; delete process.env.GIVEN; process.env.PATH = ""; process.chdir("/");
        return found;
      };`;
    const runs = [];
    for (const a of ["first-and-longer", "2"]) {
      const files = a === "2" ? {} : { "inputs/a.csv": "1" };
      runs.push(
        await workshop.run(
          workshop.task("node", script, { ...reuse, initialInput: { a }, env: { GIVEN: "yes" }, files }),
        ),
      );
    }
    const [first, second] = runs.map(({ output }) => output as Record<string, never>);
    expect(second!.work).toEqual([".maia", "artifacts"]);
    expect(second!.artifacts).toEqual([]);
    expect(first!.run).toContain("inputs");
    expect(second!.run).not.toContain("inputs");
    expect([first!.input, second!.input]).toEqual([{ a: "first-and-longer" }, { a: "2" }]);
    const ids = (output: Record<string, unknown>) => ({ ...(output.env as object), MAIA_ATTEMPT_ID: "" });
    expect(ids(second!)).toEqual(ids(first!));
    expect(second!.cwd).toBe(first!.cwd);
    expect(runs.map(({ artifacts }) => artifacts.map(({ name }) => name))).toEqual([["first-and-longer"], ["2"]]);
  });

  it("survives an attempt that fails, which alone fails", async () => {
    const reuse = nextKey();
    const failing = "export default async () => { throw new RangeError('boom') }";
    const first = await workshop.run(workshop.task("node", COUNTING, reuse));
    const failed = await workshop.run(workshop.task("node", failing, reuse));
    const invalid = await workshop.run(workshop.task("node", "export default () => [1]", reuse));
    const large = await workshop.run(workshop.task("node", "export default () => ({ x: 'x'.repeat(550_000) })", reuse));
    const last = await workshop.run(workshop.task("node", COUNTING, reuse));
    expect(failed.exit).toMatchObject({ exitCode: 1, reason: "exited", error: { message: "RangeError: boom" } });
    expect(failed.lines("stderr")[0]).toBe("RangeError: boom");
    expect(invalid.exit).toMatchObject({ error: { code: "OUTPUT_INVALID" } });
    expect(large.exit).toMatchObject({ error: { code: "OUTPUT_INVALID" } });
    expect([first.output!.n, last.output!.n]).toEqual([1, 2]);
    expect(last.output!.pid).toBe(first.output!.pid);
  });

  it("is replaced when an attempt ends it, and the attempts that wait go on", async () => {
    const reuse = nextKey();
    const ending = "export default () => process.exit(9)";
    const [first, ended, last] = await Promise.all([
      workshop.run(workshop.task("node", COUNTING, reuse)),
      workshop.run(workshop.task("node", ending, reuse)),
      workshop.run(workshop.task("node", COUNTING, reuse)),
    ]);
    expect(ended.exit).toMatchObject({ exitCode: 9, reason: "exited" });
    expect([first.output!.n, last.output!.n]).toEqual([1, 1]);
  });

  it("ends with its attempt on a cancel and on a time limit, with all that it started (G16)", async () => {
    const reuse = nextKey();
    const mark = newMark();
    const script = `
      import { spawn } from "node:child_process";
      export default () => new Promise(() => { spawn("setsid", ${JSON.stringify(sleepMarked(mark).split(" "))}, { detached: true }); });`;
    const canceled = workshop.task("node", script, { ...reuse, graceMs: 100 });
    const waiting = workshop.task("node", COUNTING, reuse);
    const outcomes = [workshop.run(canceled), workshop.run(waiting)];
    await until(() => processesMarked(mark).length > 0);
    await workshop.executor.cancel(canceled.attemptId, "stop");
    const [first, next] = await Promise.all(outcomes);
    expect([first!.exit.reason, next!.output!.n]).toEqual(["canceled", 1]);
    expect(processesMarked(mark)).toEqual([]);
    const slow = await workshop.run(workshop.task("node", script, { ...reuse, timeoutMs: 100, graceMs: 100 }));
    expect(slow.exit.reason).toBe("timeout");
    expect(processesMarked(mark)).toEqual([]);
  });

  it("that a cancel ends takes nothing with it that was not canceled, whenever the cancel comes (F37)", async () => {
    const reuse = nextKey();
    await workshop.run(workshop.task("node", COUNTING, reuse));
    const reasons = new Set<string>();
    for (let i = 0; i < 150; i++) {
      const canceled = workshop.task("node", COUNTING, { ...reuse, graceMs: 100 });
      const outcomes = [workshop.run(canceled), workshop.run(workshop.task("node", COUNTING, reuse))];
      await delay((i % 15) / 5); // in all moments of an attempt, which takes some milliseconds
      await workshop.executor.cancel(canceled.attemptId, "kill").catch(() => {}); // it may have ended
      const [first, next] = await Promise.all(outcomes);
      reasons.add(first!.exit.reason);
      expect([i, next!.exit.reason, next!.exit.exitCode]).toEqual([i, "exited", 0]);
    }
    expect(reasons).toContain("canceled");
  });

  it("lets an attempt be canceled that still waits for it", async () => {
    const reuse = nextKey();
    const slow = workshop.task("node", "export default () => new Promise((done) => setTimeout(done, 300))", reuse);
    const waiting = workshop.task("node", COUNTING, reuse);
    const outcomes = [workshop.run(slow), workshop.run(waiting)];
    await workshop.executor.cancel(waiting.attemptId, "stop");
    const [first, second] = await Promise.all(outcomes);
    expect([first!.exit.exitCode, second!.exit.reason, second!.frames.length]).toEqual([0, "canceled", 1]);
  });
});

describe("reused processes", () => {
  it("end when nobody needs them for a while, and after so many attempts", async () => {
    await using workshop = await Workshop.open("auto", { reuseIdleMs: 100, reuseAttempts: 2, reuseProcesses: 1 });
    const run = async () => (await workshop.run(workshop.task("node", COUNTING, { reuseKey: "k" }))).output!.n;
    expect([await run(), await run(), await run()]).toEqual([1, 2, 1]);
    await until(() => workshop.slotProcesses().length === 0);
    expect(await run()).toBe(1);
  });

  it("become more while attempts wait for something, up to a limit", async () => {
    await using workshop = await Workshop.open("auto", { reuseProcesses: 3 });
    const script =
      "const self = Math.random(); export default () => new Promise((done) => setTimeout(() => done({ self }), 400))";
    const runs = await Promise.all(
      Array.from({ length: 6 }, () => workshop.run(workshop.task("node", script, { reuseKey: "k" }))),
    );
    const processes = new Set(runs.map(({ output }) => output!.self));
    expect(processes.size).toBeGreaterThan(1);
    expect(processes.size).toBeLessThanOrEqual(3);
  });

  it("serve thousands of trivial attempts, many at a time", async () => {
    await using workshop = await Workshop.open("auto", { poolSize: 2 });
    const script = "export default async () => ({})";
    const one = () => workshop.run(workshop.task("node", script, { reuseKey: "k" }));
    await Promise.all(Array.from({ length: 100 }, one));
    let left = 5_000;
    await Promise.all(
      Array.from({ length: 64 }, async () => {
        while (left-- > 0) expect((await one()).exit.exitCode).toBe(0);
      }),
    );
  });
});
