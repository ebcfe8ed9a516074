import { readLogging, runService } from "@maia/service";
import { readConfig } from "./config.js";
import { rollOnHangup } from "./roll-on-hangup.js";
import { start } from "./start.js";

/** API, engine and local execution in one process: what `maia up` runs. */
const { env } = process;
const logger = readLogging(env, "maia", process.stderr.isTTY === true);

await runService("maia up", logger, async () => {
  const maia = await start(readConfig(env), { logger, clock: () => new Date() });
  process.stdout.write(`Maia is ready at ${maia.url}\nThe admin key is in ${maia.dataDir.adminKey}\n`);
  if (maia.poolMax !== null) rollOnHangup(maia);
  return maia;
});
