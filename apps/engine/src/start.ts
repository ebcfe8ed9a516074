import { randomUUID } from "node:crypto";
import { type Db, findRunner, HOSTED_RUNNER, retirePool } from "@maia/db";
import type { Clock } from "@maia/domain";
import { openLocalExecutor } from "@maia/exec";
import type { Executor } from "@maia/runner-protocol";
import { openSchemaWorker, type SchemaWorker } from "@maia/schema";
import { SecretBox } from "@maia/secrets";
import type { Logger } from "@maia/service";
import { type BlobStore, type DataDir, putPatiently } from "@maia/storage";
import { LOCAL_LEDGER } from "./carrier.js";
import type { EngineConfig } from "./config.js";
import { Engine } from "./engine.js";
import { Housekeeper } from "./housekeeper.js";
import { inputFetcher } from "./input-fetcher.js";
import { noteIsolation } from "./note-isolation.js";
import { openRemoteExecutor } from "./remote-executor.js";

export interface StartDeps {
  readonly db: Db;
  readonly blobs: BlobStore;
  readonly dataDir: DataDir;
  readonly logger: Logger;
  readonly clock: Clock;
}

export interface RunningEngine extends AsyncDisposable {
  readonly engineId: string;
  /** How strongly steps are shut in where they run. */
  readonly isolation: string;
}

/** Ready processes kept per runtime. Source: `pnpm bench`, on 2 cores; more only costs memory. */
const POOL_SIZE = 4;

/** Starts an engine: it adopts what dead engines left, then claims jobs until it is disposed. */
export async function start(config: EngineConfig, deps: StartDeps): Promise<RunningEngine> {
  const executor = config.runner ? await openRemote(config, deps) : await openLocal(config, deps);
  const hosted = await findRunner(deps.db.sql, HOSTED_RUNNER);
  if (hosted && !config.hasPool) await retirePool(deps.db, hosted, deps.clock());
  await noteIsolation(deps.db, executor.isolation, deps.clock());
  const schemas = openSchemas(config);
  const engine = await Engine.start(config, {
    ...deps,
    schemas,
    executor,
    secrets: new SecretBox(config.secretKeys, deps.dataDir.secretKey),
    fetcher: inputFetcher(config, deps.blobs),
    runnerId: config.hasPool ? null : (hosted?.id ?? null),
    monotonic: () => performance.now(),
  });
  const { db, blobs, clock, logger } = deps;
  const { constants } = config;
  const housekeeper = new Housekeeper({ db, blobs, clock, logger, constants, engineId: () => engine.engineId });
  housekeeper.start();
  return {
    engineId: engine.engineId,
    isolation: executor.isolation,
    [Symbol.asyncDispose]: async () => {
      await housekeeper[Symbol.asyncDispose]();
      await engine[Symbol.asyncDispose]();
      await schemas[Symbol.asyncDispose]();
    },
  };
}

function openSchemas({ constants }: EngineConfig): SchemaWorker {
  const { schemaValidateMs, schemaMaxBytes, schemaNodesMax } = constants;
  return openSchemaWorker({ validateMs: schemaValidateMs, maxBytes: schemaMaxBytes, nodesMax: schemaNodesMax });
}

async function openLocal(
  { constants, isolation, packages }: EngineConfig,
  { blobs, dataDir, logger }: StartDeps,
): Promise<Executor> {
  const executor = await openLocalExecutor({
    root: dataDir.runs,
    ledgerId: `${LOCAL_LEDGER}${randomUUID()}`,
    isolation,
    keep: (bytes) =>
      putPatiently(blobs, bytes, (error) => logger.warn("an artifact has to wait", { error: error.message })),
    poolSize: POOL_SIZE,
    deps: {
      root: dataDir.deps,
      ...packages,
      timeoutMs: constants.depsInstallMs,
      cacheBytes: constants.depsCacheMax,
    },
    leaseTtlMs: constants.leaseTtlMs,
    heartbeatMs: constants.streamHeartbeatMs,
    log: (level, message, fields) => logger[level](message, fields),
  });
  const { level, missing, warnings } = executor.report;
  logger.info("steps run as processes of this host", { isolation: level });
  for (const { level: wanted, reason } of missing)
    logger.info("a stronger isolation cannot be had", { isolation: wanted, reason });
  for (const warning of warnings) logger.warn(warning);
  return executor;
}

async function openRemote({ constants, runner }: EngineConfig, { blobs, logger }: StartDeps): Promise<Executor> {
  return openRemoteExecutor({
    url: runner!.url,
    token: runner!.token,
    keep: (bytes) => blobs.put(bytes),
    has: (sha256) => blobs.touch(sha256),
    idleMs: constants.streamIdleMs,
    reconnectWindowMs: constants.runnerReconnectWindowMs,
    log: (level, message, fields) => logger[level](message, fields),
  });
}
