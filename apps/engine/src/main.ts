import { Resources, readLogging, runService, STOP_WITHIN_MS } from "@maia/service";
import { openStores, readStoresConfig } from "@maia/stores";
import { readConfig } from "./config.js";
import { start } from "./start.js";

/** The engine as a process of its own: opens the stores, and works until it is told to stop. */
const { env } = process;
const logger = readLogging(env, "engine", process.stderr.isTTY === true);

await runService("maia engine", logger, async () => {
  const config = readConfig(env);
  const clock = () => new Date();
  await using stack = new Resources();
  const { db, blobs, dataDir } = stack.use(
    await openStores(readStoresConfig(env), { constants: config.constants, logger, clock }),
  );
  stack.use(await start(config, { db, blobs, dataDir, logger, clock }));
  const running = stack.move();
  const stopWithinMs = config.drainMs + STOP_WITHIN_MS;
  return { stopWithinMs, [Symbol.asyncDispose]: () => running[Symbol.asyncDispose]() };
});
