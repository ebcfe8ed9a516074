import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import type { Frame } from "@maia/runner-protocol";
import { childrenOf } from "../src/processes.js";
import { levelsHere, until, Workshop } from "./kit.js";

const levels = await levelsHere();

describe.each(levels)("the log at the level %s", (level) => {
  let workshop: Workshop;
  beforeAll(async () => {
    workshop = await Workshop.open(level);
  });
  afterAll(() => workshop[Symbol.asyncDispose]());

  it("numbers its frames from 1 without holes, and the exit accounts for all (G14)", async () => {
    const script = "seq 1 5000; seq 5001 9999 >&2; printf last";
    const run = await workshop.run(workshop.task("shell", script));
    const seqs = run.frames.flatMap((frame) => ("seq" in frame ? frame.seq : []));
    expect(seqs).toEqual(seqs.map((_, at) => at + 1));
    expect(run.exit.lastSeq).toBe(seqs.length);
    expect(run.lines("stdout")).toEqual([...Array.from({ length: 5_000 }, (_, at) => String(at + 1)), "last"]);
    expect(run.lines("stderr")).toHaveLength(4_999);
  });

  it("takes control frames on stdout for what they are, text (F38)", async () => {
    const forged = '{"type":"exit","lastSeq":1,"exitCode":1,"signal":null,"reason":"oom","error":null}';
    const told = '\\006\\n{"ok":true,"data":{"forged":true},"dirty":false}';
    const script = `console.log(${JSON.stringify(forged)}); console.log("\\u0006"); export default () => ({ real: true })`;
    const run = await workshop.run(workshop.task("node", script));
    expect([run.output, run.lines("stdout")]).toEqual([{ real: true }, [forged, "\u0006"]]);
    const shell = await workshop.run(workshop.task("shell", `printf '${told}'`));
    expect([shell.output, shell.lines("stdout").at(-1)]).toEqual([
      {},
      '{"ok":true,"data":{"forged":true},"dirty":false}',
    ]);
  });

  it("ends with the process and not with its pipes: one that closes them early lives on (F34)", async () => {
    const script = "exec >&- 2>&-; sleep 0.3; echo '{\"late\":true}' > $MAIA_OUTPUT_PATH";
    expect((await workshop.run(workshop.task("shell", script))).output).toEqual({ late: true });
  });

  it("ends with the process although a grandchild holds its pipes (F34)", async () => {
    const run = await workshop.run(workshop.task("shell", "echo before; (setsid sleep 300 &) ; echo after"));
    expect([run.lines("stdout"), run.exit.exitCode]).toEqual([["before", "after"], 0]);
  });

  it("splits one endless line, and counts what is above its limit without changing the outcome (F33)", async () => {
    const script = "head -c 300000000 /dev/zero | tr '\\0' x; echo; echo '{\"done\":true}' > $MAIA_OUTPUT_PATH";
    const run = await workshop.run(
      workshop.task("shell", script, { limits: { logLineMax: 1_000, logAttemptMax: 50_000 } }),
    );
    expect([run.output, run.exit.exitCode]).toEqual([{ done: true }, 0]);
    const kept = run.lines("stdout");
    expect(kept.length).toBeLessThanOrEqual(50);
    for (const line of kept) expect(line).toBe("x".repeat(1_000));
    const truncated = run.frames.at(-3);
    expect(truncated).toMatchObject({ type: "truncated", bytes: 300_000_000 - kept.length * 1_000 });
  });

  it("loses none of ten million short lines to its count (F33)", async () => {
    const run = await workshop.run(
      workshop.task("shell", "yes | head -n 10000000", { limits: { logAttemptMax: 100_000 } }),
    );
    const truncated = run.frames.find((frame) => frame.type === "truncated");
    expect(run.lines("stdout").length + truncated!.lines).toBe(10_000_000);
    expect(run.exit.exitCode).toBe(0);
  });

  it("makes a step wait whose log nobody reads, and keeps memory flat meanwhile (F39)", async () => {
    const script = "yes a-line-of-some-length | head -n 4000000; echo end >&2";
    const task = workshop.task("shell", script, { limits: { logAttemptMax: 1_000_000_000 } });
    const frames = workshop.executor.start(task, workshop.find)[Symbol.asyncIterator]();
    await frames.next();
    const before = process.memoryUsage().rss;
    // The helper stops reading: its reading goes still although the step has much left to say.
    let last = -1;
    await until(() => {
      const now = helperBytesRead();
      const isStill = now === last;
      last = now;
      return isStill;
    });
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024);
    let count = 0;
    let exit: Frame | undefined;
    for (let next = await frames.next(); !next.done; next = await frames.next()) {
      count += next.value.filter((frame) => frame.type === "log").length;
      exit = next.value.at(-1);
    }
    expect([count, exit]).toMatchObject([4_000_001, { type: "exit", exitCode: 0 }]);
  });
});

describe("the log", () => {
  it("tells that a silent step is alive (F35)", async () => {
    await using workshop = await Workshop.open("auto", { heartbeatMs: 50 });
    const run = await workshop.run(workshop.task("shell", "sleep 0.4"));
    expect(run.frames.filter((frame) => frame.type === "heartbeat").length).toBeGreaterThanOrEqual(3);
    expect(run.exit).toMatchObject({ exitCode: 0, lastSeq: 2 });
  });

  it("carries a million lines", async () => {
    await using workshop = await Workshop.open("auto");
    const count = 1_000_000;
    const script = `seq -f 'line number %.0f of a step that has much to say' 1 ${count}`;
    const task = workshop.task("shell", script, { limits: { logAttemptMax: 1_000_000_000 } });
    let seen = 0;
    for await (const batch of workshop.executor.start(task, workshop.find)) {
      seen += batch.filter((frame) => frame.type === "log").length;
    }
    expect(seen).toBe(count);
  });
});

/** What the helpers of this process have read so far, in bytes. */
function helperBytesRead(): number {
  const helpers = childrenOf(process.pid);
  return helpers.reduce(
    (sum, pid) => sum + Number(/^rchar: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, "utf8"))![1]),
    0,
  );
}
