import { createHash } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { decodeFrameBatches, ExecutorError, type FindContent } from "@maia/runner-protocol";
import { aTask } from "../../runner/test/support/tasks.js";
import { openRemoteExecutor, type RemoteExecutor } from "../src/remote-executor.js";
import { followFrames } from "../src/remote-follow.js";
import { outcome } from "./support/outcome.js";
import { aSession, HEARTBEAT, REPORT, ScriptedRunner, sha256 } from "./support/scripted-runner.js";

const ID = "att_1";
const { task, bytes } = aTask({ attemptId: ID, token: "t", reconnectWindowMs: 300 });
const find: FindContent = (hash) => (bytes.has(hash) ? { bytes: bytes.get(hash)! } : null);

let runner: ScriptedRunner;
let executor: RemoteExecutor;
let url: string;
let kept: string[];
beforeEach(async () => {
  runner = new ScriptedRunner();
  runner.session = aSession(ID);
  url = await runner.listen();
  kept = [];
  executor = await open(url);
});
afterEach(async () => {
  await executor[Symbol.asyncDispose]();
  await runner[Symbol.asyncDispose]();
});

function open(at: string, more: object = {}): Promise<RemoteExecutor> {
  return openRemoteExecutor({
    url: at,
    token: "x".repeat(32),
    keep,
    idleMs: 200,
    reconnectWindowMs: 300,
    marginMs: 0,
    log: () => {},
    ...more,
  });
}

async function keep(bytes: AsyncIterable<Uint8Array>): Promise<{ sha256: string; sizeBytes: number }> {
  const digest = createHash("sha256");
  let sizeBytes = 0;
  for await (const chunk of bytes) {
    digest.update(chunk);
    sizeBytes += chunk.length;
  }
  const hash = digest.digest("hex");
  kept.push(hash);
  return { sha256: hash, sizeBytes };
}

async function* chunkOf(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes;
}

const whole = { frames: aSession(ID), fault: null };
const cut = (bytes: Buffer) => ({ bytes, end: "cut" as const });

describe("a session with a runner", () => {
  it.each([
    ["never goes on brings a true beginning and no end", false],
    ["goes on brings each frame once, and its end once", true],
  ])("that is cut at any byte and %s (G8, G14)", async (_what, goesOn) => {
    const bytes = runner.bytesFrom(1);
    for (let at = 0; at < bytes.length; at++) {
      const pieces = goesOn ? [bytes.subarray(0, at), null] : [bytes.subarray(0, at)];
      const open = async (fromSeq: number) => {
        const piece = pieces.shift();
        if (piece === undefined) throw new ExecutorError("UNREACHABLE", "gone");
        return decodeFrameBatches(chunkOf(piece ?? runner.bytesFrom(fromSeq)));
      };
      const { signal } = new AbortController();
      const { frames, fault } = await outcome(
        followFrames({
          attemptId: ID,
          fromSeq: 1,
          silenceMs: goesOn ? 1_000 : 0,
          signal,
          open,
          prepare: async () => {},
          log: () => {},
        }),
      );
      expect(frames).toEqual(goesOn ? whole.frames : whole.frames.slice(0, frames.length));
      expect(frames.some(({ type }) => type === "exit")).toBe(goesOn);
      expect(fault).toBe(goesOn ? null : "UNREACHABLE");
    }
  });

  it("that ends properly but without an exit is asked for again, and never taken for a success", async () => {
    runner.pieces = [
      { bytes: runner.bytesFrom(1).subarray(0, runner.bytesFrom(1).lastIndexOf("\n", -2) + 1), end: "properly" },
    ];
    expect(await outcome(executor.start(task, find))).toEqual(whole);
    expect(runner.attaches).toEqual([8]);
  });

  it("may be cut again and again, and overlap", async () => {
    const bytes = runner.bytesFrom(1);
    runner.pieces = [cut(bytes.subarray(0, 200)), cut(bytes), cut(Buffer.alloc(0)), cut(bytes.subarray(0, 300))];
    runner.pieces[1] = cut(bytes.subarray(0, bytes.length - 30));
    expect(await outcome(executor.start(task, find))).toEqual(whole);
  });

  it("goes on elsewhere when the runner falls silent, and not while it beats (F35, F49)", async () => {
    const bytes = runner.bytesFrom(1);
    const beating: Buffer[] = [bytes.subarray(0, 250)];
    runner.pieces = [{ bytes: Buffer.concat(beating), end: "silent" }];
    expect(await outcome(executor.start(task, find))).toEqual(whole);
  });

  it("asks for what is missing when frames have a hole", async () => {
    const [first, ...rest] = runner
      .bytesFrom(1)
      .toString()
      .split(/(?<=\n)/);
    runner.pieces = [{ bytes: Buffer.from(first + rest.slice(1).join("")), end: "properly" }];
    expect(await outcome(executor.start(task, find))).toEqual(whole);
    expect(runner.attaches).toEqual([2]);
  });

  it.each([
    ["what is no JSON", "nonsense\n"],
    ["bytes that are not UTF-8", Buffer.from([0xff, 0x0a])],
    [
      "frames of another attempt",
      aSession("att_2")
        .map((frame) => `${JSON.stringify(frame)}\n`)
        .join(""),
    ],
    [
      "an exit for fewer frames than it sent",
      `${JSON.stringify(aSession(ID)[0])}\n${JSON.stringify({ ...aSession(ID)[7], lastSeq: 0 })}\n`,
    ],
    [
      "an exit code that is none",
      `${JSON.stringify(aSession(ID)[0])}\n${JSON.stringify({ ...aSession(ID)[7], lastSeq: 1, exitCode: "0" })}\n`,
    ],
  ])("is given up as lost when a runner keeps sending %s (B101)", async (_what, sent) => {
    runner.pieces = Array.from({ length: 10 }, () => ({
      bytes: Buffer.from(sent as string),
      end: "properly" as const,
    }));
    const { frames, fault } = await outcome(executor.start({ ...task, reconnectWindowMs: 10_000 }, find));
    expect(fault).toBe("ATTEMPT_LOST");
    expect(frames.some(({ type }) => type === "exit")).toBe(false);
  });

  it("names its attempt from time to time, so that the runner knows that it is wanted", async () => {
    runner.pieces = [{ bytes: HEARTBEAT, end: "silent" }];
    await outcome(executor.start(task, find));
    expect(runner.alive).toContain(ID);
  });
});

describe("a task for a runner", () => {
  it("comes with the bytes that the runner lacks", async () => {
    runner.pieces = [{ status: 412, code: "BLOB_MISSING", missing: [task.script.sha256] }];
    expect(await outcome(executor.start(task, find))).toEqual(whole);
    expect([...runner.blobs.keys()]).toContain(task.script.sha256);
    expect(Buffer.from(runner.inline[0]![task.input.sha256]!, "base64")).toEqual(bytes.get(task.input.sha256));
    expect(runner.posts).toHaveLength(2);
  });

  it("is given back when bytes are missing on both sides", async () => {
    runner.pieces = [{ status: 412, code: "BLOB_MISSING", missing: ["0".repeat(64)] }];
    expect((await outcome(executor.start(task, find))).fault).toBe("BLOB_MISSING");
  });

  it.each(["STALE_EPOCH", "ATTEMPT_LOST", "BUSY", "ISOLATION_UNAVAILABLE"])(
    "is given back as %s at once",
    async (code) => {
      runner.pieces = [{ status: code === "BUSY" ? 503 : 409, code }];
      expect(await outcome(executor.start(task, find))).toEqual({ frames: [], fault: code });
      expect(runner.posts).toHaveLength(1);
    },
  );

  it("is given up only when the runner has not answered for its whole window", async () => {
    await runner[Symbol.asyncDispose]();
    const from = performance.now();
    expect(await outcome(executor.start(task, find))).toEqual({ frames: [], fault: "UNREACHABLE" });
    expect(performance.now() - from).toBeGreaterThanOrEqual(250); // its window is 300 ms; timers are not exact
    runner = new ScriptedRunner();
  });

  it("is bound to the ledger that it went to first, and goes to no other (G6)", async () => {
    runner.pieces = [cut(Buffer.alloc(0)), cut(Buffer.alloc(0))];
    const stream = executor.start(task, find)[Symbol.asyncIterator]();
    const first = stream.next();
    runner.ledgerId = "led_two";
    await expect(first).rejects.toMatchObject({ code: "LEDGER_CHANGED" });
    expect((await outcome(executor.start(task, find))).fault).toBe("LEDGER_CHANGED");
    expect((await outcome(executor.start({ ...task, attemptId: "att_3" }, find, { ledgerId: "led_one" }))).fault).toBe(
      "LEDGER_CHANGED",
    );
    expect(runner.posts.filter((ledgerId) => ledgerId === "led_two")).toEqual([]);
    expect(await executor.connect()).toBe("led_two");
    runner.session = aSession("att_4");
    expect((await outcome(executor.start({ ...task, attemptId: "att_4" }, find))).fault).toBeNull();
  });
});

describe("a runner that is not up yet", () => {
  it("does not keep an engine from starting, and is found once it is there (F51)", async () => {
    const { port } = new URL(url);
    await runner[Symbol.asyncDispose]();
    await using early = await open(url);
    expect(() => early.ledgerId).toThrow(expect.objectContaining({ code: "UNREACHABLE" }));
    runner = new ScriptedRunner();
    await runner.listen(Number(port));
    const late = performance.now() + 5_000;
    const known = () => {
      try {
        return early.ledgerId;
      } catch {
        return null;
      }
    };
    while (known() === null && performance.now() < late) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(known()).toBe("led_one");
    expect(early.isolation).toBe("sandbox");
  });
});

describe("an artifact at a runner", () => {
  it("is here before its frame is passed on, also over a connection that breaks (G8)", async () => {
    runner.blobCuts = [3, 0, 5];
    let hereInTime = false;
    for await (const batch of executor.start(task, find)) {
      if (batch.some(({ type }) => type === "artifact")) hereInTime = kept.includes(sha256(REPORT));
    }
    expect(hereInTime).toBe(true);
  });

  it("is not fetched where it is known", async () => {
    await using knowing = await open(url, { has: async () => true });
    expect(await outcome(knowing.start(task, find))).toEqual(whole);
    expect(kept).toEqual([]);
  });

  it.each([
    ["other bytes", () => runner.blobs.set(sha256(REPORT), Buffer.from("something else"))],
    ["nothing", () => runner.blobs.delete(sha256(REPORT))],
  ])("of which the runner has %s means that the attempt is lost, and no success (G8)", async (_what, damage) => {
    damage();
    const { frames, fault } = await outcome(executor.start(task, find));
    expect(fault).toBe("ATTEMPT_LOST");
    expect(frames.some(({ type }) => type === "artifact" || type === "exit")).toBe(false);
  });
});
