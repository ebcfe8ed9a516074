import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Frame } from "@maia/runner-protocol";
import { type FrameStream, RunnerClient } from "@maia/runner-protocol/client";
import type { Logger } from "@maia/service";
import { readConfig } from "../../src/config.js";
import { type RunningRunner, start } from "../../src/start.js";
import { FakeExecutor } from "./fake-executor.js";

export const TOKEN = "a-token-that-only-these-tests-know";

export const silent: Logger = { error() {}, warn() {}, info() {}, debug() {}, child: () => silent };

export interface TestRunner extends AsyncDisposable {
  readonly dir: string;
  readonly url: string;
  readonly executor: FakeExecutor;
  readonly client: RunnerClient;
  readonly runner: RunningRunner;
  /** Stops it gracefully, and leaves its folder. */
  stop(): Promise<void>;
}

/** A runner in this process whose attempts say what the test tells them to. */
export async function openTestRunner(
  env: { readonly [name: string]: string } = {},
  folder?: string,
): Promise<TestRunner> {
  const dir = folder ?? (await mkdtemp(join(tmpdir(), "maia-runner-")));
  const executor = new FakeExecutor();
  const config = readConfig({
    RUNNER_TOKEN: TOKEN,
    MAIA_RUNNER_PORT: "0",
    MAIA_RUNNER_DATA_DIR: dir,
    MAIA_DRAIN_LIMIT_MS: "200",
    ...env,
  });
  const runner = await start(config, { logger: silent, openExecutor: async () => executor });
  const client = new RunnerClient({ url: runner.url, token: TOKEN });
  let stopped: Promise<void> | null = null;
  const stop = () => {
    stopped ??= Promise.resolve(runner[Symbol.asyncDispose]());
    return stopped;
  };
  return {
    dir,
    url: runner.url,
    executor,
    client,
    runner,
    stop,
    [Symbol.asyncDispose]: async () => {
      client.close();
      await stop();
      if (!folder) await rm(dir, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 });
    },
  };
}

/** Brings a task's bytes to a runner. */
export async function upload(client: RunnerClient, bytes: Map<string, Uint8Array>): Promise<void> {
  for (const [sha256, content] of bytes) await client.putBlob(sha256, { bytes: content });
}

/** All frames of a stream but its heartbeats. */
export async function framesOf(stream: FrameStream): Promise<Frame[]> {
  const frames: Frame[] = [];
  for await (const batch of stream) frames.push(...batch.filter(({ type }) => type !== "heartbeat"));
  return frames;
}

/** The first frames of a stream, which is left then. */
export async function firstOf(stream: FrameStream, count: number): Promise<Frame[]> {
  const frames: Frame[] = [];
  for await (const batch of stream) {
    frames.push(...batch.filter(({ type }) => type !== "heartbeat"));
    if (frames.length >= count) break;
  }
  return frames;
}

/** Waits for something to become true, and says what it waited for where it does not. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>, withinMs = 30_000): Promise<void> {
  const late = performance.now() + withinMs;
  while (!(await isSo())) {
    if (performance.now() > late) throw new Error(`waited ${withinMs} ms for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
