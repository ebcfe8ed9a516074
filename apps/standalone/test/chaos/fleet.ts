import path from "node:path";
import { TestProxy } from "../../../runner/test/support/proxy.ts";
import { eventually, MaiaProcess } from "../support/processes.ts";
import type { Chaos } from "./chaos.ts";

/** How a runner's process ends when it is to be started again. Source: docs/guides/runners.md, "Exit codes". */
const RESTART = 75;

/** How long a process may take to end, whose steps all end within seconds. In milliseconds. */
const END_MS = 120_000;

/** What a runner says once it knows what to do about a signal. */
const DIALS = "the runner dials out";

/** What the API tells of a runner. */
export interface RunnerView {
  readonly id: string;
  readonly status: string;
  readonly inFlight: number;
  readonly connected: boolean;
}

/** One process of a runner behind a network of its own, started again as a service manager would. */
export class Instance implements AsyncDisposable {
  #process: MaiaProcess | null = null;
  #disk = 0;
  #isWanted = false;

  readonly proxy: TestProxy;
  readonly #chaos: Chaos;
  readonly #runner: FleetRunner;
  readonly #name: string;

  private constructor(chaos: Chaos, runner: FleetRunner, name: string, proxy: TestProxy) {
    this.proxy = proxy;
    this.#chaos = chaos;
    this.#runner = runner;
    this.#name = name;
  }

  static async open(chaos: Chaos, runner: FleetRunner, name: string): Promise<Instance> {
    return new Instance(chaos, runner, name, await TestProxy.open(chaos.maia.url));
  }

  get running(): boolean {
    return this.#process?.running ?? false;
  }

  start(): void {
    this.#isWanted = true;
    const process = new MaiaProcess(["runner"], {
      ...this.#chaos.runnerEnv,
      ...this.#runner.credentials,
      MAIA_GATEWAY_URL: this.proxy.url,
      MAIA_RUNNER_DATA_DIR: path.join(this.#runner.folder, `${this.#name}-${this.#disk}`),
    });
    this.#process = process;
    void process.ended().then(() => this.#ended(process));
  }

  signal(name: NodeJS.Signals): void {
    this.#process?.signal(name);
  }

  async kill(): Promise<void> {
    this.#isWanted = false;
    await this.#process?.kill();
  }

  /** Asks it to stop, and waits until what it had in hand is done. */
  async stop(): Promise<number | null> {
    this.#isWanted = false;
    return this.#due(this.#process?.stop());
  }

  /** Waits for an end that somebody else has asked for. */
  async stopped(): Promise<number | null> {
    this.#isWanted = false;
    return this.#due(this.#process?.ended());
  }

  /** Lets it end by itself from now on. */
  release(): void {
    this.#isWanted = false;
  }

  /** Gives it an empty disk for its next start: nobody can say any more what it had in hand. */
  loseDisk(): void {
    this.#disk += 1;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await this.proxy[Symbol.asyncDispose]();
  }

  /** How its process ends, which has been told to; one that does not is a violation. */
  async #due(end: Promise<unknown> | undefined): Promise<number | null> {
    const late = setTimeout(() => {
      const who = `${this.#name} of ${this.#runner.name}`;
      this.#chaos.violate(`G22 ${who} was to end, and has not in ${END_MS} ms\n${this.#process?.log.slice(-4_000)}`);
      this.signal("SIGKILL");
    }, END_MS);
    await end;
    clearTimeout(late);
    const { exitCode = null, log = "" } = this.#process ?? {};
    return exitCode === null && !log.includes(DIALS) ? 0 : exitCode; // the signal came before it had begun
  }

  #ended(process: MaiaProcess): void {
    if (!this.#isWanted || process !== this.#process) return;
    if (process.exitCode === RESTART) this.start();
    else
      this.#chaos.violate(
        `${this.#name} of ${this.#runner.name} ended by itself (${process.exitCode})\n${process.log.slice(-4_000)}`,
      );
  }
}

/** A runner of the fleet, with its processes. */
export class FleetRunner implements AsyncDisposable {
  readonly instances: Instance[] = [];
  credentials: Record<string, string> = {};
  id = "";

  readonly name: string;
  /** Where its processes keep what is theirs. */
  readonly folder: string;
  readonly #chaos: Chaos;

  private constructor(chaos: Chaos, name: string, folder: string) {
    this.#chaos = chaos;
    this.name = name;
    this.folder = folder;
  }

  static async make(chaos: Chaos, name: string, restricted: boolean): Promise<FleetRunner> {
    const runner = new FleetRunner(chaos, name, path.join(chaos.maia.dataDir, "..", name));
    const definition = { name, platform: "self_managed", deployment: "process", restricted };
    const made = await chaos.ask<{ id: string; credentials: Credentials }>("POST", "/v1/runners", definition);
    runner.id = made.id;
    runner.credentials = asEnv(made.credentials);
    for (const instance of ["left", "right"]) runner.instances.push(await Instance.open(chaos, runner, instance));
    return runner;
  }

  view(): Promise<RunnerView> {
    return this.#chaos.view(this.id);
  }

  command(command: string): Promise<unknown> {
    return this.#chaos.ask("POST", `/v1/runners/${this.id}/commands`, { command });
  }

  /** @returns the secret that counts no more */
  async refreshSecret(): Promise<Record<string, string>> {
    const before = this.credentials;
    const body = { action: "SECRET_REFRESH" };
    this.credentials = asEnv(await this.#chaos.ask<Credentials>("POST", `/v1/runners/${this.id}/credentials`, body));
    return before;
  }

  /** Waits until the API says so. */
  async is(...statuses: readonly string[]): Promise<void> {
    await eventually(
      `runner ${this.name} is ${statuses.join(" or ")}`,
      async () => statuses.includes((await this.view()).status),
      120_000,
    );
  }

  /** Waits until it has something in hand. */
  async isBusy(): Promise<void> {
    await eventually(`runner ${this.name} works`, async () => (await this.view()).inFlight > 0, 120_000);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.instances.map((instance) => instance[Symbol.asyncDispose]()));
  }
}

interface Credentials {
  readonly clientId: string;
  readonly clientSecret: string;
}

function asEnv({ clientId, clientSecret }: Credentials): Record<string, string> {
  return { MAIA_CLIENT_ID: clientId, MAIA_CLIENT_SECRET: clientSecret };
}
