import { readSecretKeys, type SecretKey } from "@maia/secrets";
import {
  ConfigError,
  type Constants,
  type Env,
  readConstants,
  readInteger,
  readOptional,
  readPort,
  readString,
  readUrl,
} from "@maia/service";
import type { BodyLimits } from "./http/body.js";
import { isLoopback } from "./http/guard.js";

export interface ApiConfig {
  readonly host: string;
  readonly port: number;
  /** The address that users see, where it is not the one that we listen on. */
  readonly publicUrl: URL | null;
  /** Files in PEM. */
  readonly tls: { readonly certFile: string; readonly keyFile: string } | null;
  /** Whose X-Forwarded headers count: null is nobody's, a number is how many proxies stand in front. */
  readonly trustProxy: number | readonly string[] | null;
  readonly constants: Constants;
  /** What secrets are encrypted with; null: the key in the data directory. */
  readonly secretKeys: readonly SecretKey[] | null;
  /** Raw text of MAIA_URL_ALLOW. */
  readonly urlAllow: string;
  readonly body: BodyLimits;
  /** How long the headers of a request may take to arrive, in milliseconds. */
  readonly headersTimeoutMs: number;
  /** How long an upload may send nothing before it is given up, in milliseconds. */
  readonly uploadIdleMs: number;
  /** How often a stream that has nothing to say shows that it is alive, in milliseconds. */
  readonly sseHeartbeatMs: number;
  /** How long a follower may leave its connection full before it is dropped, in milliseconds. */
  readonly sseStuckMs: number;
  /** How long requests in flight may take to finish once the server stops, in milliseconds. */
  readonly stopWithinMs: number;
}

const JSON_TIMEOUT_MS = 20_000;

/** Reads the API's settings. @throws {ConfigError} naming the variable. */
export function readConfig(env: Env): ApiConfig {
  const constants = readConstants(env);
  const config: ApiConfig = {
    host: readString(env, "MAIA_API_HOST", "127.0.0.1"),
    port: readPort(env, "MAIA_API_PORT", 3690),
    publicUrl: readUrl(env, "MAIA_PUBLIC_URL"),
    tls: readTls(env),
    trustProxy: readTrustProxy(env),
    constants,
    secretKeys: readSecretKeys(env),
    urlAllow: env.MAIA_URL_ALLOW ?? "",
    body: { maxBytes: constants.jsonBodyMax, depthMax: constants.jsonDepthMax, timeoutMs: JSON_TIMEOUT_MS },
    headersTimeoutMs: 15_000,
    uploadIdleMs: 30_000,
    sseHeartbeatMs: readInteger(env, "MAIA_SSE_HEARTBEAT_MS", 15_000),
    sseStuckMs: 60_000,
    stopWithinMs: 10_000,
  };
  requireSafeHost(config);
  return config;
}

/** Beyond loopback, keys would travel in clear unless somebody encrypts. @throws {ConfigError} */
export function requireSafeHost({ host, tls, trustProxy }: ApiConfig): void {
  if (isLoopback(host) || tls || trustProxy !== null) return;
  throw new ConfigError(
    `MAIA_API_HOST is ${host}, which others can reach, and nothing encrypts; set MAIA_TLS_CERT and MAIA_TLS_KEY, or MAIA_TRUST_PROXY if something in front of Maia terminates TLS`,
  );
}

function readTls(env: Env): ApiConfig["tls"] {
  const certFile = readOptional(env, "MAIA_TLS_CERT");
  const keyFile = readOptional(env, "MAIA_TLS_KEY");
  if (certFile && keyFile) return { certFile, keyFile };
  if (!certFile && !keyFile) return null;
  throw new ConfigError(
    `${certFile ? "MAIA_TLS_CERT" : "MAIA_TLS_KEY"} is set without the other one; set both or neither`,
  );
}

/** `true` or a count of proxies, or the proxies' addresses (also CIDR), separated by commas. */
function readTrustProxy(env: Env): ApiConfig["trustProxy"] {
  const text = readOptional(env, "MAIA_TRUST_PROXY")?.toLowerCase();
  if (text === undefined || ["0", "false", "no"].includes(text)) return null;
  if (["true", "yes"].includes(text)) return 1;
  if (/^\d{1,2}$/.test(text)) return Number(text);
  const addresses = text.split(",").map((address) => address.trim());
  if (addresses.every((address) => /^[0-9a-f.:]+(\/\d{1,3})?$/.test(address))) return addresses;
  throw new ConfigError(`MAIA_TRUST_PROXY is "${text}"; use true, a number of proxies, or their addresses`);
}
