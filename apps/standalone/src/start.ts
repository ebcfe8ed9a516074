import { ensureAdminKey, start as startApi } from "@maia/api";
import { openDb } from "@maia/db";
import type { Clock } from "@maia/domain";
import { start as startEngine } from "@maia/engine";
import { type Logger, Resources } from "@maia/service";
import { BlobStore, type DataDir, openDataDir, refuseLostDatabase } from "@maia/storage";
import type { StandaloneConfig } from "./config.js";

/** Maia in one process: api, engine and local execution over one database. */
export interface RunningMaia extends AsyncDisposable {
  readonly url: string;
  readonly dataDir: DataDir;
  readonly engineId: string;
  readonly isolation: string;
}

/** Starts the database, the engine and the API, in this order; disposing stops them in the opposite one. */
export async function start(
  config: StandaloneConfig,
  { logger, clock }: { logger: Logger; clock: Clock },
): Promise<RunningMaia> {
  await using stack = new Resources();
  const { constants } = config.engine;
  const dataDir = await openDataDir(config.dataDir);
  if (config.databaseUrl === null) await refuseLostDatabase(dataDir);
  const blobs = await BlobStore.open(dataDir.blobs, dataDir.tmp);
  const db = stack.use(
    await openDb({
      url: config.databaseUrl ?? `file:${dataDir.dbFile}`,
      bellsDir: dataDir.bells,
      busyTimeoutMs: constants.dbBusyTimeoutMs,
      retryBudgetMs: constants.dbRetryBudgetMs,
      log: (level, message, fields) => logger[level](message, fields),
    }),
  );
  await ensureAdminKey(db, dataDir, clock());
  const deps = { db, blobs, dataDir, logger, clock };
  const engine = stack.use(await startEngine(config.engine, deps));
  const api = stack.use(await startApi(config.api, deps));
  const running = stack.move();
  const { engineId, isolation } = engine;
  return { url: api.url, dataDir, engineId, isolation, [Symbol.asyncDispose]: () => running[Symbol.asyncDispose]() };
}
