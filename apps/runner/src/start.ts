import { type LocalExecutor, openLocalExecutor } from "@maia/exec";
import { parseDns, parseUrlAllow, testConnection } from "@maia/outbound";
import type { Executor } from "@maia/runner-protocol";
import { type Logger, Resources } from "@maia/service";
import { BlobStore, putPatiently } from "@maia/storage";
import { Attempts } from "./attempts/attempts.js";
import type { Carrier } from "./carrier.js";
import type { RunnerConfig } from "./config.js";
import { openRunnerDir, type RunnerDir } from "./data-dir.js";
import { type DirectDeps, openDirectCarrier } from "./direct/direct-carrier.js";
import { openGatewayCarrier } from "./gateway/gateway-carrier.js";
import { Keep } from "./keep/keep.js";
import { Ledger } from "./ledger/ledger.js";
import { sweepRegularly } from "./sweep.js";
import { VERSION } from "./version.js";

export interface RunnerDeps {
  readonly logger: Logger;
  readonly clock?: () => Date;
  /** Asked when it stops: how long its attempts may take to end, where that is not what is configured. In milliseconds. */
  readonly stopLimitMs?: () => number | null;
  /** Opens what carries tasks out; local processes unless told. */
  readonly openExecutor?: (options: ExecutorOptions) => Promise<RunnerExecutor>;
}

/** What carries tasks out, and why it cannot, where it cannot. */
export interface RunnerExecutor extends Executor {
  readonly report?: LocalExecutor["report"];
}

export interface ExecutorOptions {
  readonly config: RunnerConfig;
  readonly dir: RunnerDir;
  readonly ledgerId: string;
  readonly blobs: BlobStore;
  readonly keep: Keep | null;
  readonly logger: Logger;
}

export interface RunningRunner extends AsyncDisposable {
  readonly url: string;
  readonly ledgerId: string;
  /** Settles with an exit code where the runner cannot go on. */
  readonly done: Promise<number>;
  /** The exit code where it was told another one since. */
  readonly exitCode: () => number | null;
}

/** How long killed attempts may take to be noted when a drain is over. In milliseconds. */
export const KILL_WAIT_MS = 10_000;
/** A test of a connection takes no longer, whatever is asked for. In milliseconds. */
const LONGEST_TEST_MS = 10_000;
/** Ready processes kept per runtime. */
const POOL_SIZE = 4;

/** Starts a runner. Disposing it drains: it takes no new tasks, and lets those it has end. */
export async function start(config: RunnerConfig, deps: RunnerDeps): Promise<RunningRunner> {
  const { logger, clock = () => new Date(), stopLimitMs = () => null, openExecutor = openLocal } = deps;
  await using stack = new Resources();
  const dir = stack.use(await openRunnerDir(config.dataDir));
  const { ledger, damaged } = await Ledger.open(dir.ledger, { keepMs: config.keep.ledgerMs, now: clock() });
  stack.defer(() => ledger.close());
  const { ledgerId } = ledger;
  if (damaged) logger.error("the ledger was damaged; attempts that it held count as lost", { damaged, ledgerId });
  const blobs = await BlobStore.open(dir.blobs, dir.tmp);
  const keep = config.keepDir === null ? null : await Keep.open(config.keepDir, ledgerId);
  const executor = stack.use(await openExecutor({ config, dir, ledgerId, blobs, keep, logger }));

  const broken = Promise.withResolvers<number>();
  const onBroken = (error: Error) => {
    logger.error("the runner cannot go on", { error });
    broken.resolve(1);
  };
  const { slots } = config;
  const attempts = new Attempts({
    ledger,
    spoolDir: dir.spool,
    executor,
    blobs,
    keep,
    slots,
    logger,
    clock,
    onBroken,
    whyNoWork: () => whyNoWork(executor),
  });
  await attempts.settleAfterCrash();
  stack.use(sweepRegularly({ ledger, attempts, blobs, spoolDir: dir.spool, keep: config.keep, logger, clock }));

  const carrier = stack.use(
    await openCarrier(config, dir, {
      attempts,
      blobs,
      keep,
      ledgerId,
      isolation: executor.isolation,
      slots,
      version: VERSION,
      testConnection: connectionTest(config),
      logger,
    }),
  );
  stack.defer(() => {
    attempts.takeNoMore();
    return attempts.drain(stopLimitMs() ?? config.drainLimitMs, KILL_WAIT_MS, carrier.announceStop());
  });
  const does = config.carrier.kind === "direct" ? "the runner listens" : "the runner dials out and listens on nothing";
  logger.info(does, { url: carrier.url, ledgerId, isolation: executor.isolation, slots });
  const running = stack.move();
  return {
    url: carrier.url,
    ledgerId,
    done: Promise.race([broken.promise, carrier.done]),
    exitCode: () => carrier.exitCode(),
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}

function openCarrier({ carrier, ...config }: RunnerConfig, dir: RunnerDir, deps: DirectDeps): Promise<Carrier> {
  if (carrier.kind === "direct") return openDirectCarrier(carrier, deps);
  const [urlAllow, resolve] = [parseUrlAllow(config.urlAllow), parseDns(config.urlDns)];
  return openGatewayCarrier(carrier, { ...deps, unconfirmedDir: dir.unconfirmed, urlAllow, resolve });
}

/** A level that was named and cannot be had refuses all work (G30). */
function whyNoWork({ isolation, report }: RunnerExecutor): string | null {
  const missing = report?.missing.find(({ level }) => level === isolation);
  return missing ? `Isolation ${isolation} cannot be had here: ${missing.reason}` : null;
}

async function openLocal({ config, dir, ledgerId, blobs, keep, logger }: ExecutorOptions): Promise<LocalExecutor> {
  const waiting = (error: Error) => logger.warn("an artifact has to wait", { error: error.message });
  const executor = await openLocalExecutor({
    root: dir.exec,
    ledgerId,
    isolation: config.isolation,
    keep: async (bytes, task) => {
      const stays = task.keep !== undefined && keep !== null;
      const { sha256, sizeBytes } = await putPatiently(stays ? keep.blobs : blobs, bytes, waiting);
      return { sha256, sizeBytes, ...(stays ? { storeId: keep.storeId } : {}) };
    },
    poolSize: Math.min(POOL_SIZE, config.slots),
    deps: { root: dir.deps, ...config.packages },
    leaseTtlMs: config.leaseTtlMs,
    log: (level, message, fields) => logger[level](message, fields),
  });
  for (const { level, reason } of executor.report.missing)
    logger.info("a stronger isolation cannot be had", { isolation: level, reason });
  return executor;
}

function connectionTest({ urlAllow, connectivityTimeoutMs }: RunnerConfig) {
  const allow = parseUrlAllow(urlAllow);
  return (host: string, port: number, timeoutMs: number | null = null) =>
    testConnection({ host, port, timeoutMs: Math.min(timeoutMs ?? connectivityTimeoutMs, LONGEST_TEST_MS), allow });
}
