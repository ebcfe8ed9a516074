import type { Db } from "@maia/db";
import type { Clock } from "@maia/domain";
import { parseUrlAllow } from "@maia/outbound";
import { openSchemaWorker } from "@maia/schema";
import { SecretBox } from "@maia/secrets";
import { type Logger, Resources } from "@maia/service";
import type { BlobStore, DataDir } from "@maia/storage";
import { createApp } from "./app.js";
import { AuditHeadLog } from "./audit-head.js";
import { BAD_CREDENTIALS_PER_MINUTE } from "./auth.js";
import { type ApiConfig, requireSafeHost } from "./config.js";
import type { ApiContext } from "./context.js";
import { Gateway } from "./gateway/gateway.js";
import { HttpServer } from "./http/server.js";
import { Metrics } from "./metrics.js";
import { TokenLimits } from "./oauth/exchange.js";
import { SigningKeys } from "./oauth/signing-keys.js";
import { Tokens } from "./oauth/tokens.js";
import { RateLimit } from "./rate-limit.js";
import { Refusals } from "./refusals.js";
import { resealSecrets } from "./reseal-secrets.js";
import { TESTS_PER_MINUTE } from "./runners/connectivity.js";
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
  const tokens = new Tokens({
    db,
    keys: new SigningKeys(dataDir.tokenKey),
    ttlMs: config.constants.tokenTtlMs,
  });
  const heads = stack.use(new AuditHeadLog(db, logger, config.constants.auditHeadMs));
  const refusals = stack.use(new Refusals(db, clock, logger));
  const { schemaValidateMs, schemaMaxBytes, schemaNodesMax } = config.constants;
  const schemas = openSchemaWorker({
    validateMs: schemaValidateMs,
    maxBytes: schemaMaxBytes,
    nodesMax: schemaNodesMax,
  });
  stack.use(schemas);
  const gateway = stack.use(new Gateway({ db, blobs, secrets, constants: config.constants, logger, clock }));
  const hub = stack.use(new EventHub(db, logger));
  const streams = stack.use(new OpenStreams({ heartbeatMs: config.sseHeartbeatMs, stuckMs: config.sseStuckMs }));
  const metrics = new Metrics({ db, streams: () => streams.size });
  const stop = new AbortController();
  const context: ApiContext = {
    config,
    db,
    blobs,
    secrets,
    tokens,
    tokenLimits: new TokenLimits(),
    badCredentials: new RateLimit(BAD_CREDENTIALS_PER_MINUTE),
    connectionTests: new RateLimit(TESTS_PER_MINUTE),
    refusals,
    urlAllow: parseUrlAllow(config.urlAllow),
    schemas,
    logger,
    clock,
    gateway,
    hub,
    streams,
    metrics,
    stopping: stop.signal,
  };
  const settings = { ...config, connectionsPerAddress: config.trustProxy === null ? CONNECTIONS_PER_ADDRESS : null };
  const server = stack.use(await HttpServer.listen(settings, createApp(context)));
  stack.defer(() => {
    stop.abort();
    gateway.switchboard.close();
    streams.endAll();
  });
  const open = stack.move();
  logger.info("listening", { url: server.url });
  await heads.tell();
  return { url: server.url, [Symbol.asyncDispose]: () => open[Symbol.asyncDispose]() };
}
