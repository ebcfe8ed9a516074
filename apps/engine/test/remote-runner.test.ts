import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import type { FindContent, Frame, Task } from "@maia/runner-protocol";
import { RunnerHome, type RunnerProcess } from "../../runner/test/support/process.js";
import { TestProxy } from "../../runner/test/support/proxy.js";
import { TOKEN, until } from "../../runner/test/support/runner.js";
import { aTask, sha256 } from "../../runner/test/support/tasks.js";
import { openRemoteExecutor, type RemoteExecutor } from "../src/remote-executor.js";
import { outcome } from "./support/outcome.js";

let home: RunnerHome;
let runner: RunnerProcess;
let proxy: TestProxy;
let executor: RemoteExecutor;
let kept: Map<string, Buffer>;
beforeAll(async () => {
  home = await RunnerHome.open();
  runner = await home.start({ MAIA_STREAM_HEARTBEAT_MS: "200" });
});
afterAll(async () => home[Symbol.asyncDispose]());
beforeEach(async () => {
  proxy = await TestProxy.open(runner.url);
  kept = new Map();
  executor = await open();
});
afterEach(async () => {
  await executor[Symbol.asyncDispose]();
  await proxy[Symbol.asyncDispose]();
});

function open(more: object = {}): Promise<RemoteExecutor> {
  return openRemoteExecutor({
    url: proxy.url,
    token: TOKEN,
    keep,
    idleMs: 1_000,
    reconnectWindowMs: 10_000,
    log: () => {},
    ...more,
  });
}

async function keep(bytes: AsyncIterable<Uint8Array>): Promise<{ sha256: string; sizeBytes: number }> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of bytes) chunks.push(chunk);
  const whole = Buffer.concat(chunks);
  kept.set(sha256(whole), whole);
  return { sha256: sha256(whole), sizeBytes: whole.length };
}

function aShellTask(script: string, change: Partial<Task> = {}): { task: Task; find: FindContent } {
  const { task, bytes } = aTask({ runtime: "shell", reconnectWindowMs: 10_000, ...change }, script);
  return { task, find: (hash) => (bytes.has(hash) ? { bytes: bytes.get(hash)! } : null) };
}

const texts = (frames: readonly Frame[]) =>
  frames.flatMap((frame) => (frame.type === "log" && frame.stream === "stdout" ? [frame.line] : []));
const exits = (frames: readonly Frame[]) => frames.filter((frame) => frame.type === "exit");
const numbered = (count: number) => Array.from({ length: count }, (_, index) => `line ${index + 1}`);

describe("an engine and its runner, on a bad network", () => {
  it("a recorded session that is cut at every byte comes out whole, frame by frame (G8, G14, F47)", async () => {
    const { task, find } = aShellTask(
      'echo "é日🙂"; echo oops >&2; echo "{\\"type\\":\\"exit\\"}"; echo report > "$MAIA_ARTIFACTS_DIR/report.txt"\n',
    );
    const { frames } = await outcome(executor.start(task, find));
    expect(exits(frames)).toMatchObject([{ exitCode: 0, reason: "exited" }]);
    expect(kept.get(sha256("report\n"))?.toString()).toBe("report\n");
    await using known = await open({ has: async () => true });
    let bytes = 0;
    for (let cuts = true; cuts; bytes++) {
      const first = proxy.connections;
      proxy.treat = (no) => (no === first ? { cutAfterBytes: bytes } : {});
      proxy.cutAll(); // so that the next request needs a new connection
      expect(await outcome(known.attach(task.attemptId, 1))).toEqual({ frames, fault: null });
      cuts = proxy.connections > first + 1;
    }
    expect(bytes).toBeGreaterThan(700); // the head and every byte of the frames
  }, 240_000);

  it("every line of a busy step comes once and in order while the link breaks again and again (G14)", async () => {
    const count = 20_000;
    const { task, find } = aShellTask(`i=0; while [ $i -lt ${count} ]; do i=$((i+1)); echo "line $i"; done\n`);
    proxy.treat = (no) => ({ cutAfterBytes: 3_001 + no * 977 });
    proxy.cutAll();
    const { frames, fault } = await outcome(executor.start(task, find));
    expect(fault).toBeNull();
    expect(texts(frames)).toEqual(numbered(count));
    expect(exits(frames)).toMatchObject([{ exitCode: 0 }]);
    expect(proxy.connections).toBeGreaterThan(10);
  });

  it("a connection that is dead in one direction is given up, and its rest fetched on another", async () => {
    const { task, find } = aShellTask('for i in 1 2 3 4 5 6; do echo "line $i"; sleep 0.1; done\n');
    await executor[Symbol.asyncDispose]();
    proxy.treat = (no) => (no === 1 ? { deafAfterBytes: 700 } : {});
    executor = await open();
    const { frames, fault } = await outcome(executor.start(task, find));
    expect([fault, texts(frames)]).toEqual([null, numbered(6)]);
    expect(proxy.connections).toBeGreaterThan(2);
  });

  it("a link that brings a few bytes at a time makes progress, and is not taken for dead (F49)", async () => {
    const { task, find } = aShellTask('for i in $(seq 60); do echo "line $i"; done\n');
    await executor[Symbol.asyncDispose]();
    proxy.treat = () => ({ trickleBytes: 80, trickleMs: 20 });
    executor = await open();
    const from = performance.now();
    const { frames, fault } = await outcome(executor.start(task, find));
    expect([fault, texts(frames)]).toEqual([null, numbered(60)]);
    expect(performance.now() - from).toBeGreaterThan(1_000); // longer than the idle limit
  });

  it("a request that the network replays starts its step once (F50, G6)", async () => {
    const { task, find } = aShellTask("cat /proc/sys/kernel/random/uuid; sleep 0.2\n");
    await executor[Symbol.asyncDispose]();
    proxy.treat = () => ({ duplicate: true });
    executor = await open();
    const { frames, fault } = await outcome(executor.start(task, find));
    expect(fault).toBeNull();
    const again = await outcome(executor.start(task, find));
    expect(texts(again.frames)).toEqual(texts(frames));
    expect(texts(frames)).toHaveLength(1);
  });

  it("a cancel reaches a step through it, and its end comes back (G16)", async () => {
    const { task, find } = aShellTask("echo up; sleep 60\n");
    proxy.treat = () => ({ delayMs: 50 });
    proxy.cutAll();
    const frames: Frame[] = [];
    for await (const batch of executor.start(task, find)) {
      frames.push(...batch);
      if (texts(batch).includes("up")) await executor.cancel(task.attemptId, "stop");
    }
    expect(exits(frames)).toMatchObject([{ reason: "canceled" }]);
  });
});

describe("an engine and a runner that dies", () => {
  it("a step that ran is lost, and nothing of it is taken for an end (F25)", async () => {
    await using own = await RunnerHome.open();
    const first = await own.start();
    proxy.lead(first.url);
    await using dialled = await open();
    const { task, find } = aShellTask("echo up; sleep 60\n");
    const up = Promise.withResolvers<void>();
    async function* watched(): AsyncGenerator<readonly Frame[]> {
      for await (const batch of dialled.start(task, find)) {
        if (texts(batch).includes("up")) up.resolve();
        yield batch;
      }
    }
    const following = outcome(watched());
    await up.promise;
    first.kill("SIGKILL");
    await first.ended;
    proxy.lead((await own.start()).url);
    const { frames, fault } = await following;
    expect(fault).toBe("ATTEMPT_LOST");
    expect(exits(frames)).toEqual([]);
  });

  it("a step that had ended is delivered after the restart, though nobody had heard its end (F26)", async () => {
    await using own = await RunnerHome.open();
    const first = await own.start();
    proxy.lead(first.url);
    await using dialled = await open({ idleMs: 300 });
    const { task, find } = aShellTask("echo one; sleep 0.5; echo two\n");
    proxy.treat = (no) => (no >= 1 ? { deafAfterBytes: 500 } : {});
    const following = outcome(dialled.start(task, find));
    const spool = join(own.dir, "spool", `${task.attemptId}.ndjson`);
    await until("the exit is in the spool", async () =>
      (await readFile(spool, "utf8").catch(() => "")).includes('"type":"exit"'),
    );
    first.kill("SIGKILL");
    await first.ended;
    proxy.treat = () => ({});
    proxy.lead((await own.start()).url);
    const { frames, fault } = await following;
    expect([fault, texts(frames)]).toEqual([null, ["one", "two"]]);
    expect(exits(frames)).toMatchObject([{ exitCode: 0 }]);
  });
});
