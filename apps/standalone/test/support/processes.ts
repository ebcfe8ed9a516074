import { type ChildProcess, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { appendFileSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import os from "node:os";
import path from "node:path";
import { hostEnv } from "./config.ts";

const MAIA = path.resolve(import.meta.dirname, "../../../cli/bin/maia.js");

/** Runs `maia <args>` as a real process of its own, within another program where one is named that takes its place. */
export class MaiaProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  #log = "";
  #ended: Promise<void>;

  /**
   * `within` is a command that runs it in a place of its own, and gives way to it (`unshare`, `strace`); `logFile` gets all
   * that it prints, after what is there.
   */
  constructor(
    args: readonly string[],
    env: Record<string, string>,
    within: readonly string[] = [],
    logFile: string | null = null,
  ) {
    const [program = "", ...rest] = [...within, process.execPath, MAIA, ...args];
    this.#child = spawn(program, rest, {
      env: { ...hostEnv, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on("data", (chunk) => {
        this.#log = (this.#log + chunk).slice(-64_000);
        if (logFile !== null) appendFileSync(logFile, chunk);
      });
    }
    this.#ended = once(this.#child, "exit").then(() => {});
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get exitCode(): number | null {
    return this.#child.exitCode;
  }

  /** The last 64 KB of what it printed. */
  get log(): string {
    return this.#log;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Ends it without a word, and waits until it is gone. */
  async kill(): Promise<void> {
    if (this.running) this.#child.kill("SIGKILL");
    await this.#ended;
  }

  /** Asks it to stop, and waits until it is gone. */
  async stop(): Promise<number | null> {
    if (this.running) this.#child.kill("SIGTERM");
    await this.#ended;
    return this.exitCode;
  }

  async ended(): Promise<void> {
    await this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

/** A folder of its own in the system's temporary folder, readable by other users so that a step user can reach it. */
export async function temporaryFolder(name: string): Promise<{ path: string } & AsyncDisposable> {
  const folder = await mkdtemp(path.join(os.tmpdir(), `maia-${name}-`));
  return {
    path: folder,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 }),
  };
}

/** Ports that the system gives to nobody who asks for any: what is free there stays so until the process listens. */
const PORTS = { from: 10_000, count: 20_000 } as const;

/** A port of loopback that nobody uses, and that others are unlikely to draw as well before it is used. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = PORTS.from + randomInt(PORTS.count);
    const server = createServer().listen(port, "127.0.0.1");
    const isFree = await once(server, "listening").then(
      () => true,
      () => false,
    );
    if (!isFree) continue;
    server.close();
    await once(server, "close");
    return port;
  }
}

/** Waits for a condition, asking every few milliseconds. @throws when it does not hold in time. */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T | null | undefined | false>,
  withinMs = 30_000,
): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (let last: unknown; ; ) {
    try {
      const answer = await ask();
      if (answer) return answer;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}${last ? ` (${last})` : ""}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The key that Maia writes at its first start. */
export async function adminKey(dataDir: string): Promise<string> {
  return (await readFile(path.join(dataDir, "admin-key"), "utf8")).trim();
}
