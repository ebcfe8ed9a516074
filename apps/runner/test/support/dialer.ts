import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BlobStore } from "@maia/storage";
import { readConfig } from "../../src/config.js";
import { type ExecutorOptions, type RunningRunner, start } from "../../src/start.js";
import { FakeExecutor } from "./fake-executor.js";
import { CLIENT } from "./gateway.js";
import { silent } from "./runner.js";

const MAIN = join(import.meta.dirname, "../../dist/main.js");

/** How these runners dial. The marks are off: the machine that tests is busy. */
export const settings = (url: string, dir: string) => ({
  MAIA_GATEWAY_URL: url,
  MAIA_CLIENT_ID: CLIENT.id,
  MAIA_CLIENT_SECRET: CLIENT.secret,
  MAIA_RUNNER_DATA_DIR: dir,
  MAIA_RUNNER_CPU_MARK: "100",
  MAIA_RUNNER_MEMORY_MARK: "100",
});

export type Env = { readonly [name: string]: string };

/** A runner in this process that dials a gateway, and whose attempts say what the test tells them to. */
export interface TestDialer extends AsyncDisposable {
  readonly dir: string;
  readonly executor: FakeExecutor;
  readonly runner: RunningRunner;
  /** Puts bytes where the executor keeps those of artifacts. */
  putBlob(bytes: Uint8Array): Promise<unknown>;
  /** Stops it gracefully, and leaves its folder. */
  stop(): Promise<void>;
}

export async function openTestDialer(url: string, env: Env = {}, folder?: string): Promise<TestDialer> {
  const dir = folder ?? (await mkdtemp(join(tmpdir(), "maia-dialer-")));
  const executor = new FakeExecutor();
  const config = readConfig({ ...settings(url, dir), MAIA_DRAIN_LIMIT_MS: "200", MAIA_RUNNER_SLOTS: "4", ...env });
  let blobs: BlobStore | null = null;
  const openExecutor = async (options: ExecutorOptions) => {
    blobs = options.blobs;
    return executor;
  };
  const runner = await start(config, { logger: silent, openExecutor });
  let stopped: Promise<void> | null = null;
  const stop = () => {
    stopped ??= Promise.resolve(runner[Symbol.asyncDispose]());
    return stopped;
  };
  return {
    dir,
    executor,
    runner,
    putBlob: (bytes) => blobs!.put(bytes),
    stop,
    [Symbol.asyncDispose]: async () => {
      await stop();
      if (!folder) await rm(dir, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 });
    },
  };
}

/** How a process ended. */
export interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stderr: string;
}

/** A runner in a process of its own that dials a gateway. */
export interface DialerProcess {
  readonly pid: number;
  readonly ended: Promise<Ended>;
  /** What it has said so far. */
  said(): string;
  kill(signal: "SIGKILL" | "SIGTERM" | "SIGSTOP" | "SIGCONT"): void;
}

/** A data directory with runners in it, one after another; all are gone when it is disposed. */
export class DialerHome implements AsyncDisposable {
  readonly #running = new Set<ChildProcess>();

  private constructor(readonly dir: string) {}

  static async open(): Promise<DialerHome> {
    return new DialerHome(await mkdtemp(join(tmpdir(), "maia-dialer-")));
  }

  start(url: string, env: Env = {}): DialerProcess {
    const { PATH = "", HOME = "" } = process.env;
    const child = spawn(process.execPath, [MAIN], {
      env: { PATH, HOME, ...settings(url, this.dir), ...env },
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#running.add(child);
    let stderr = "";
    child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    const ended = new Promise<Ended>((resolve) => {
      child.on("close", (code, signal) => {
        this.#running.delete(child);
        resolve({ code, signal, stderr });
      });
    });
    return { pid: child.pid!, ended, said: () => stderr, kill: (signal) => child.kill(signal) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const gone = [...this.#running].map((child) => new Promise((resolve) => child.on("close", resolve)));
    for (const child of this.#running) child.kill("SIGKILL");
    await Promise.all(gone);
    await rm(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }
}
