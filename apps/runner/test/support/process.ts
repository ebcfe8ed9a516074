import { type ChildProcess, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RunnerClient } from "@maia/runner-protocol/client";
import { TOKEN } from "./runner.js";

const MAIN = join(import.meta.dirname, "../../dist/main.js");

/** A runner in a process of its own. */
export interface RunnerProcess {
  readonly url: string;
  readonly client: RunnerClient;
  kill(signal: "SIGKILL" | "SIGTERM"): void;
  /** How it ended. */
  readonly ended: Promise<{ code: number | null; signal: string | null; stderr: string }>;
}

/** A folder with runners in it, one after another; all are gone when it is disposed. */
export class RunnerHome implements AsyncDisposable {
  readonly #running = new Set<ChildProcess>();
  readonly #clients: RunnerClient[] = [];

  private constructor(readonly dir: string) {}

  static async open(): Promise<RunnerHome> {
    return new RunnerHome(await mkdtemp(join(tmpdir(), "maia-runner-")));
  }

  /** Starts a runner and waits until it listens. @throws when it ends instead, with what it said. */
  async start(env: { readonly [name: string]: string } = {}): Promise<RunnerProcess> {
    const settings = { RUNNER_TOKEN: TOKEN, MAIA_RUNNER_PORT: "0", MAIA_RUNNER_DATA_DIR: this.dir, ...env };
    const { PATH = "", HOME = "" } = process.env;
    const child = spawn(process.execPath, [MAIN], {
      env: { PATH, HOME, ...settings },
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#running.add(child);
    let stderr = "";
    const listening = Promise.withResolvers<string>();
    child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
      const url = /"the runner listens".*?"url":"([^"]+)"/.exec(stderr)?.[1];
      if (url) listening.resolve(url);
    });
    const ended = new Promise<{ code: number | null; signal: string | null; stderr: string }>((resolve) => {
      child.on("close", (code, signal) => {
        this.#running.delete(child);
        listening.reject(new Error(`the runner ended with ${code ?? signal}: ${stderr}`));
        resolve({ code, signal, stderr });
      });
    });
    const url = await listening.promise;
    const client = new RunnerClient({ url, token: TOKEN });
    this.#clients.push(client);
    return { url, client, ended, kill: (signal) => child.kill(signal) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.close();
    const gone = [...this.#running].map((child) => new Promise((resolve) => child.on("close", resolve)));
    for (const child of this.#running) child.kill("SIGKILL");
    await Promise.all(gone);
    await rm(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** A number that no other process has in its command line. */
export const aMarker = (): string => `${randomInt(10_000, 99_999)}.${randomInt(1e9)}`;

/** How many processes have this text in their command line. */
export async function processesWith(marker: string): Promise<number> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")));
  return lines.filter((line) => line.includes(marker)).length;
}
