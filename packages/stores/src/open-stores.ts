import { type Db, openDb } from "@maia/db";
import type { Clock } from "@maia/domain";
import { type Constants, type Env, type Logger, readOptional, readString } from "@maia/service";
import { BlobStore, type DataDir, openDataDir, refuseLostDatabase } from "@maia/storage";

/** Where a process of Maia keeps what it knows. */
export interface StoresConfig {
  /** Folder of the database, the blobs and all else. */
  readonly dataDir: string;
  /** Where the database is, when it is not in that folder. */
  readonly databaseUrl: string | null;
}

/** What every process of Maia but a runner works on. Disposing it closes the database. */
export interface Stores extends AsyncDisposable {
  readonly dataDir: DataDir;
  readonly db: Db;
  readonly blobs: BlobStore;
}

export interface StoresDeps {
  readonly constants: Pick<Constants, "dbBusyTimeoutMs" | "dbRetryBudgetMs">;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** Reads where the stores are. */
export function readStoresConfig(env: Env): StoresConfig {
  return { dataDir: readString(env, "MAIA_DATA_DIR", ".maia"), databaseUrl: readOptional(env, "DATABASE_URL") };
}

/**
 * Opens the data directory, its database and its blobs.
 * @throws {DataDirError} where the directory cannot be used, or has lost its database; {DbRefusal}
 */
export async function openStores(config: StoresConfig, { constants, logger, clock }: StoresDeps): Promise<Stores> {
  const dataDir = await openDataDir(config.dataDir);
  if (config.databaseUrl === null) await refuseLostDatabase(dataDir);
  const blobs = await BlobStore.open(dataDir.blobs, dataDir.tmp);
  const db = await openDb({
    url: config.databaseUrl ?? `file:${dataDir.dbFile}`,
    bellsDir: dataDir.bells,
    busyTimeoutMs: constants.dbBusyTimeoutMs,
    retryBudgetMs: constants.dbRetryBudgetMs,
    now: clock,
    log: (level, message, fields) => logger[level](message, fields),
  });
  return { dataDir, db, blobs, [Symbol.asyncDispose]: () => db[Symbol.asyncDispose]() };
}
