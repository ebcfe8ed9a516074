import { readFile } from "node:fs/promises";
import { type Db, newestPause } from "@maia/db";
import { type Clock, isPaused } from "@maia/domain";
import { SecretBox } from "@maia/secrets";
import type { Logger } from "@maia/service";
import type { DataDir } from "@maia/storage";
import type { StandaloneConfig } from "../config.js";
import { poolCredentials } from "./credentials.js";
import { HostedPool } from "./hosted-pool.js";
import type { PoolConfig } from "./pool-config.js";

export interface PoolDeps {
  readonly db: Db;
  readonly dataDir: DataDir;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Where the API listens. */
  readonly apiUrl: string;
}

const PACKAGE = new URL("../package.json", import.meta.resolve("@maia/runner/main"));

/** Starts the hosted runner's own processes, with what they need to dial us. */
export async function startPool(
  pool: PoolConfig,
  { api, engine }: StandaloneConfig,
  { db, dataDir, logger, clock, apiUrl }: PoolDeps,
): Promise<HostedPool> {
  const secrets = new SecretBox(engine.secretKeys, dataDir.secretKey);
  const { runnerId, secret } = await poolCredentials(db, secrets, logger, clock());
  // A certificate is for the name that others know us by; without one we are on this host.
  const url = api.tls && api.publicUrl ? api.publicUrl.href : onThisHost(apiUrl);
  return HostedPool.open(pool, {
    db,
    logger,
    runnerId,
    dir: dataDir.pool,
    envOf: (folder) => ({
      ...pool.env,
      MAIA_GATEWAY_URL: url,
      MAIA_CLIENT_ID: runnerId,
      MAIA_CLIENT_SECRET: secret,
      MAIA_RUNNER_DATA_DIR: folder,
    }),
    slots: engine.constants.runnerSlots,
    drainMs: engine.drainMs,
    isHeld: async () => isPaused(await newestPause(db.sql, runnerId), engine.constants.pauseAutoResumeMs, clock()),
    readVersion,
  });
}

/** An address that stands for all of them is reached through loopback. */
function onThisHost(apiUrl: string): string {
  const url = new URL(apiUrl);
  if (url.hostname === "0.0.0.0") url.hostname = "127.0.0.1";
  if (url.hostname === "[::]") url.hostname = "[::1]";
  return url.href;
}

async function readVersion(): Promise<string> {
  return (JSON.parse(await readFile(PACKAGE, "utf8")) as { version: string }).version;
}
