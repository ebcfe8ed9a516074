import { openDb } from "@maia/db";
import { Resources, readLogging, readOptional, readString, runService } from "@maia/service";
import { BlobStore, openDataDir, refuseLostDatabase } from "@maia/storage";
import { readConfig } from "./config.js";
import { start } from "./start.js";

/** The engine as a process of its own: opens the data directory and its database, and works until it is told to stop. */
const { env } = process;
const logger = readLogging(env, "engine", process.stderr.isTTY === true);

await runService("maia engine", logger, async () => {
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
  stack.use(await start(config, { db, blobs, dataDir, logger, clock }));
  return stack.move();
});
