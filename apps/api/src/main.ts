import { openDb } from "@maia/db";
import { Resources, readLogging, readOptional, readString, runService } from "@maia/service";
import { BlobStore, openDataDir, refuseLostDatabase } from "@maia/storage";
import { ensureAdminKey } from "./admin-key.js";
import { readConfig } from "./config.js";
import { start } from "./start.js";

/** The API as a process of its own: opens the data directory and its database, and serves until it is told to stop. */
const { env } = process;
const logger = readLogging(env, "api", process.stderr.isTTY === true);

await runService("maia api", logger, async () => {
  const config = readConfig(env);
  const { dbBusyTimeoutMs, dbRetryBudgetMs } = config.constants;
  const clock = () => new Date();
  await using stack = new Resources();
  const dataDir = await openDataDir(readString(env, "MAIA_DATA_DIR", ".maia"));
  const databaseUrl = readOptional(env, "DATABASE_URL");
  if (databaseUrl === null) await refuseLostDatabase(dataDir);
  const url = databaseUrl ?? `file:${dataDir.dbFile}`;
  const db = stack.use(
    await openDb({
      url,
      bellsDir: dataDir.bells,
      busyTimeoutMs: dbBusyTimeoutMs,
      retryBudgetMs: dbRetryBudgetMs,
      now: clock,
      log: (level, message, fields) => logger[level](message, fields),
    }),
  );
  const blobs = await BlobStore.open(dataDir.blobs, dataDir.tmp);
  const { isNew } = await ensureAdminKey(db, dataDir, clock());
  if (isNew) logger.info("an API key with role admin was made", { file: dataDir.adminKey });
  stack.use(await start(config, { db, blobs, dataDir, logger, clock }));
  return stack.move();
});
