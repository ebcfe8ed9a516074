import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { POOL_RESTART, POOL_SETTLED_MS, retryDelayMs } from "@maia/domain";
import type { Env, Logger } from "@maia/service";

export interface PoolRunnerDeps {
  /** The number of its folder. */
  readonly slot: number;
  readonly env: Env;
  readonly logger: Logger;
}

const MAIN = fileURLToPath(import.meta.resolve("@maia/runner/main"));

/**
 * One runner of the hosted pool: a process, and the next one where it ends by itself. It dies with us, because it watches
 * the channel to us; it is in a group of its own, so that a terminal's Ctrl-C reaches us alone and we stop it gracefully.
 */
export class PoolRunner {
  readonly slot: number;
  #child: ChildProcess | null = null;
  #restart: NodeJS.Timeout | null = null;
  #crashes = 0;
  #startedAt = 0;
  #isStopping = false;
  readonly #gone = Promise.withResolvers<void>();

  constructor(private readonly deps: PoolRunnerDeps) {
    this.slot = deps.slot;
    this.#start();
  }

  /** True once it was told to end. */
  get isStopping(): boolean {
    return this.#isStopping;
  }

  /** Settles when it has ended, and no other process follows. */
  get gone(): Promise<void> {
    return this.#gone.promise;
  }

  /** Has it finish its tasks, say goodbye and end; within so many milliseconds, where its own limit is not meant. */
  stop(withinMs: number | null = null): void {
    if (this.#isStopping) return;
    this.#isStopping = true;
    if (this.#restart) clearTimeout(this.#restart);
    if (this.#child)
      this.#child.send({ stopWithinMs: withinMs }, () => {}); // one that cannot hear it has ended
    else this.#gone.resolve();
  }

  /** Ends it at once; what it ran is lost, and said to be so by the next process of its folder. */
  kill(): void {
    this.stop();
    this.#child?.kill("SIGKILL");
  }

  #start(): void {
    const { env, logger, slot } = this.deps;
    this.#restart = null;
    this.#startedAt = performance.now();
    const child = fork(MAIN, [], { env: { ...env }, execArgv: [], detached: true, stdio: ["ignore", 1, 2, "ipc"] });
    this.#child = child;
    child.once("spawn", () => logger.info("a hosted runner has started", { slot, pid: child.pid }));
    const ended = (code: number | null, signal: string | null, error?: Error) => {
      if (this.#child === child) this.#ended({ code, signal, error: error?.message });
    };
    child.once("error", (error) => ended(null, null, error));
    child.once("exit", (code, signal) => ended(code, signal));
  }

  #ended(how: { code: number | null; signal: string | null; error: string | undefined }): void {
    const { logger, slot } = this.deps;
    this.#child = null;
    if (this.#isStopping) {
      logger.info("a hosted runner has ended", { slot, ...how });
      this.#gone.resolve();
      return;
    }
    this.#crashes = performance.now() - this.#startedAt > POOL_SETTLED_MS ? 1 : this.#crashes + 1;
    const waitMs = retryDelayMs(POOL_RESTART, this.#crashes, `slot-${slot}`);
    logger.warn("a hosted runner has ended by itself; it is started again", { slot, waitMs, ...how });
    this.#restart = setTimeout(() => this.#start(), waitMs);
  }
}
