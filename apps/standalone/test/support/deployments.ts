import path from "node:path";
import { Client } from "./client.ts";
import { freePort, MaiaProcess, temporaryFolder } from "./processes.ts";

/**
 * The ways in which Maia runs: all in one process, with a runner that is dialled, every part by itself, and engines that
 * run their steps themselves beside an API.
 */
export type Shape = "local" | "runner" | "separate" | "engines";

/** A running Maia of real processes over a folder of its own. */
export class Deployment implements AsyncDisposable {
  readonly processes = new Map<string, MaiaProcess>();
  readonly dataDir: string;
  readonly url: string;
  readonly env: Record<string, string>;
  /** Where the runner keeps what is its own; null: there is none. */
  readonly runnerDir: string | null;
  readonly #folder: { readonly path: string } & AsyncDisposable;
  #isKept = false;
  client!: Client;

  private constructor(
    dataDir: string,
    url: string,
    env: Record<string, string>,
    runnerDir: string | null,
    folder: { readonly path: string } & AsyncDisposable,
  ) {
    this.dataDir = dataDir;
    this.runnerDir = runnerDir;
    this.url = url;
    this.env = env;
    this.#folder = folder;
  }

  static async start(shape: Shape, more: Record<string, string> = {}, engines = 1): Promise<Deployment> {
    const folder = await temporaryFolder(shape);
    const [apiPort, runnerPort] = [await freePort(), await freePort()];
    const dataDir = path.join(folder.path, "data");
    const runnerDir = path.join(folder.path, "runner");
    const env = {
      MAIA_DATA_DIR: dataDir,
      MAIA_API_PORT: String(apiPort),
      MAIA_RUNNER_PORT: String(runnerPort),
      MAIA_RUNNER_DATA_DIR: runnerDir,
      MAIA_LOG_FORMAT: "json",
      ...(hasRunner(shape) ? { RUNNER_URL: `http://127.0.0.1:${runnerPort}`, RUNNER_TOKEN: "t".repeat(40) } : {}),
      ...more,
    };
    const url = `http://127.0.0.1:${apiPort}`;
    const deployment = new Deployment(dataDir, url, env, hasRunner(shape) ? runnerDir : null, folder);
    for (const name of partsOf(shape, engines)) deployment.spawn(name);
    deployment.client = await Client.connect(deployment.url, dataDir);
    return deployment;
  }

  /**
   * Starts a part: `up`, `api`, `runner`, or an engine (`engine`, `engine-2`, …), with settings of its own where it is given
   * some. A part that runs already is left alone.
   */
  spawn(name: string, more: Record<string, string> = {}): MaiaProcess {
    const running = this.processes.get(name);
    if (running?.running) return running;
    const logFile = path.join(this.#folder.path, `${name}.log`);
    const part = new MaiaProcess([name.replace(/-\d+$/, "")], { ...this.env, ...more }, [], logFile);
    this.processes.set(name, part);
    return part;
  }

  part(name: string): MaiaProcess {
    const part = this.processes.get(name);
    if (!part) throw new Error(`no part ${name}`);
    return part;
  }

  /** What all parts printed last, for the message of a failed test. */
  get logs(): string {
    return [...this.processes].map(([name, part]) => `--- ${name}\n${part.log.slice(-4_000)}`).join("\n");
  }

  /** Leaves the folder with all that Maia wrote when it is disposed. @returns where that is */
  keep(): string {
    this.#isKept = true;
    return this.#folder.path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.processes.values()].map((part) => part.kill()));
    if (!this.#isKept) await this.#folder[Symbol.asyncDispose]();
  }
}

function partsOf(shape: Shape, engines: number): string[] {
  const runner = hasRunner(shape) ? ["runner"] : [];
  if (shape === "local" || shape === "runner") return [...runner, "up"];
  return [...runner, "api", ...Array.from({ length: engines }, (_, i) => (i === 0 ? "engine" : `engine-${i + 1}`))];
}

function hasRunner(shape: Shape): boolean {
  return shape === "runner" || shape === "separate";
}
