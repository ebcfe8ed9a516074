import type { Db } from "@maia/db";
import type { Clock } from "@maia/domain";
import { openSchemaWorker } from "@maia/schema";
import { SecretBox } from "@maia/secrets";
import { type Logger, Resources } from "@maia/service";
import type { BlobStore, DataDir } from "@maia/storage";
import { createApp } from "./app.js";
import { type ApiConfig, requireSafeHost } from "./config.js";
import type { ApiContext } from "./context.js";
import { HttpServer } from "./http/server.js";
import { Metrics } from "./metrics.js";
import { resealSecrets } from "./reseal-secrets.js";
import { EventHub } from "./sse/hub.js";
import { OpenStreams } from "./sse/open-streams.js";

/** What the API works on; whoever starts it opens and closes these. */
export interface ApiDeps {
  readonly db: Db;
  readonly blobs: BlobStore;
  readonly dataDir: DataDir;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** An API that answers. */
export interface Api extends AsyncDisposable {
  /** Where it listens. */
  readonly url: string;
}

/** Connections from one address, unless a proxy makes all of them come from one. */
const CONNECTIONS_PER_ADDRESS = 2_000;

/** Starts the API. Disposing it stops it gracefully: what is in flight finishes, followers are told to come back. */
export async function start(config: ApiConfig, deps: ApiDeps): Promise<Api> {
  requireSafeHost(config);
  const { db, blobs, dataDir, logger, clock } = deps;
  await using stack = new Resources();
  const secrets = new SecretBox(config.secretKeys, dataDir.secretKey);
  await resealSecrets(db, secrets, logger);
  const { schemaValidateMs, schemaMaxBytes, schemaNodesMax } = config.constants;
  const schemas = openSchemaWorker({
    validateMs: schemaValidateMs,
    maxBytes: schemaMaxBytes,
    nodesMax: schemaNodesMax,
  });
  stack.use(schemas);
  const hub = stack.use(new EventHub(db, logger));
  const streams = stack.use(new OpenStreams({ heartbeatMs: config.sseHeartbeatMs, stuckMs: config.sseStuckMs }));
  const metrics = new Metrics({ db, streams: () => streams.size });
  const stop = new AbortController();
  const context: ApiContext = {
    config,
    db,
    blobs,
    secrets,
    schemas,
    logger,
    clock,
    hub,
    streams,
    metrics,
    stopping: stop.signal,
  };
  const settings = { ...config, connectionsPerAddress: config.trustProxy === null ? CONNECTIONS_PER_ADDRESS : null };
  const server = stack.use(await HttpServer.listen(settings, createApp(context)));
  stack.defer(() => {
    stop.abort();
    streams.endAll();
  });
  const open = stack.move();
  logger.info("listening", { url: server.url });
  return { url: server.url, [Symbol.asyncDispose]: () => open[Symbol.asyncDispose]() };
}
