import type { Db } from "@maia/db";
import type { Clock } from "@maia/domain";
import type { UrlAllow } from "@maia/outbound";
import type { SchemaWorker } from "@maia/schema";
import type { SecretBox } from "@maia/secrets";
import type { Logger } from "@maia/service";
import type { BlobStore } from "@maia/storage";
import type { ApiConfig } from "./config.js";
import type { Gateway } from "./gateway/gateway.js";
import type { Metrics } from "./metrics.js";
import type { TokenLimits } from "./oauth/exchange.js";
import type { Tokens } from "./oauth/tokens.js";
import type { RateLimit } from "./rate-limit.js";
import type { Refusals } from "./refusals.js";
import type { EventHub } from "./sse/hub.js";
import type { OpenStreams } from "./sse/open-streams.js";

/** What handlers work with. */
export interface ApiContext {
  readonly config: ApiConfig;
  readonly db: Db;
  readonly blobs: BlobStore;
  readonly secrets: SecretBox;
  readonly tokens: Tokens;
  readonly tokenLimits: TokenLimits;
  /** Credentials that were not valid, by address. */
  readonly badCredentials: RateLimit;
  /** Tests of connections, by caller. */
  readonly connectionTests: RateLimit;
  readonly refusals: Refusals;
  /** What tests of connections from this host may reach although the guard would refuse it. */
  readonly urlAllow: UrlAllow;
  readonly schemas: SchemaWorker;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly gateway: Gateway;
  readonly hub: EventHub;
  readonly streams: OpenStreams;
  readonly metrics: Metrics;
  /** Aborts when the server begins to stop: whoever waits for something should answer now. */
  readonly stopping: AbortSignal;
}
