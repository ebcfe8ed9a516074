import { Resources, readLogging, runService } from "@maia/service";
import { openStores, readStoresConfig } from "@maia/stores";
import { ensureAdminKey } from "./admin-key.js";
import { readConfig } from "./config.js";
import { start } from "./start.js";

/** The API as a process of its own: opens the stores, and serves until it is told to stop. */
const { env } = process;
const logger = readLogging(env, "api", process.stderr.isTTY === true);

await runService("maia api", logger, async () => {
  const config = readConfig(env);
  const clock = () => new Date();
  await using stack = new Resources();
  const { db, blobs, dataDir } = stack.use(
    await openStores(readStoresConfig(env), { constants: config.constants, logger, clock }),
  );
  const { isNew } = await ensureAdminKey(db, dataDir, clock());
  if (isNew) logger.info("an API key with role admin was made", { file: dataDir.adminKey });
  stack.use(await start(config, { db, blobs, dataDir, logger, clock }));
  return stack.move();
});
