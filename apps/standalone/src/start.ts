import { ensureAdminKey, start as startApi } from "@maia/api";
import type { Clock } from "@maia/domain";
import { start as startEngine } from "@maia/engine";
import { type Logger, Resources, STOP_WITHIN_MS } from "@maia/service";
import type { DataDir } from "@maia/storage";
import { openStores } from "@maia/stores";
import type { StandaloneConfig } from "./config.js";
import { startPool } from "./pool/start-pool.js";

/** Maia in one process: api, engine and local execution over one database. */
export interface RunningMaia extends AsyncDisposable {
  readonly url: string;
  readonly dataDir: DataDir;
  readonly engineId: string;
  readonly isolation: string;
  /** How long its stop may take. In milliseconds. */
  readonly stopWithinMs: number;
  /** How many processes of its own the hosted runner may have; null: the engine does its work. */
  readonly poolMax: number | null;
  /** Replaces the hosted runner's processes one by one, where it has some. */
  roll(): Promise<void>;
}

/** Starts the database, the engine, the API and the hosted pool, in this order; disposing stops them in the opposite one. */
export async function start(
  config: StandaloneConfig,
  { logger, clock }: { logger: Logger; clock: Clock },
): Promise<RunningMaia> {
  await using stack = new Resources();
  const { constants } = config.engine;
  const { db, blobs, dataDir } = stack.use(await openStores(config, { constants, logger, clock }));
  await ensureAdminKey(db, dataDir, clock());
  const deps = { db, blobs, dataDir, logger, clock };
  const engine = stack.use(await startEngine(config.engine, deps));
  const api = stack.use(await startApi(config.api, deps));
  const pool = config.pool ? stack.use(await startPool(config.pool, config, { ...deps, apiUrl: api.url })) : null;
  const running = stack.move();
  const { engineId, isolation } = engine;
  const stopWithinMs = config.engine.drainMs + STOP_WITHIN_MS;
  const [roll, poolMax] = [async () => pool?.roll(), config.pool?.max ?? null];
  return {
    url: api.url,
    dataDir,
    engineId,
    isolation,
    stopWithinMs,
    poolMax,
    roll,
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}
