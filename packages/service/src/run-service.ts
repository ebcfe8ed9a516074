import { ConfigError } from "./env.js";
import type { Logger } from "./logger.js";

/** What a service is once it runs. One that can end on its own (a runner told to restart) says so with its exit code. */
export type Service = AsyncDisposable & {
  readonly done?: Promise<number>;
  /** The exit code where something that came while it stopped has changed it; null: as it was. */
  readonly exitCode?: () => number | null;
  /** How long its graceful stop may take, where it knows better than whoever starts it. In milliseconds. */
  readonly stopWithinMs?: number;
};

export interface RunServiceOptions {
  /** How long a graceful stop may take before the process ends anyway. In milliseconds. */
  readonly stopWithinMs?: number;
}

/** What a stop takes besides waiting for work to end, and more. */
export const STOP_WITHIN_MS = 30_000;
const LONGEST_TIMER_MS = 2_147_483_647;

/**
 * Runs a service until SIGTERM, SIGINT or its own end, stops it gracefully and ends the process: exit code 0, or the
 * service's own. A start that fails prints one clear line and exits 1, with a setting to blame 2. A second signal, or a stop
 * that takes too long, ends the process at once with 1.
 */
export async function runService(
  name: string,
  logger: Logger,
  start: () => Promise<Service>,
  { stopWithinMs = STOP_WITHIN_MS }: RunServiceOptions = {},
): Promise<void> {
  process.stdout.on("error", () => {}); // whoever read the output may go away; the service goes on
  process.stderr.on("error", () => {});
  const asked = stopSignal(logger);
  watchForBugs(logger);

  const service = await start().catch((error: unknown) => {
    logger.debug("start failed", { error });
    process.stderr.write(`${name}: ${startFailure(error)}\n`);
    process.exit(error instanceof ConfigError ? 2 : 1);
  });
  const reason = await Promise.race([asked, service.done ?? new Promise<never>(() => {})]);

  const withinMs = Math.min(service.stopWithinMs ?? stopWithinMs, LONGEST_TIMER_MS);
  setTimeout(() => {
    logger.error("stopping took too long", { stopWithinMs: withinMs });
    process.exit(1);
  }, withinMs);
  await service[Symbol.asyncDispose]();
  const code = service.exitCode?.() ?? reason;
  logger.info("stopped", { code });
  process.exit(code);
}

/** Resolves to exit code 0 at the first signal; at the second one nothing is waited for. */
function stopSignal(logger: Logger): Promise<number> {
  return new Promise((resolve) => {
    let asked = false;
    const onSignal = (signal: string) => {
      if (asked) process.exit(1);
      asked = true;
      logger.info("stopping", { signal });
      resolve(0);
    };
    process.on("SIGTERM", onSignal);
    process.on("SIGINT", onSignal);
  });
}

/** A bug leaves the process in a state that nobody knows, so it is logged and the process ends; restarting recovers. */
function watchForBugs(logger: Logger): void {
  const onBug = (error: unknown) => {
    logger.error("unexpected failure", { error });
    process.exit(1);
  };
  process.on("uncaughtException", onBug);
  process.on("unhandledRejection", onBug);
}

function startFailure(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, address, port } = error as NodeJS.ErrnoException & { address?: string; port?: number };
  if (code === "EADDRINUSE") return `${address}:${port} is taken by another process; stop it or choose another port`;
  if (code === "EACCES" && port) return `not allowed to listen on port ${port}; choose one above 1023`;
  return error.message.replaceAll("\n", " ");
}
