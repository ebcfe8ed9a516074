import { join, resolve } from "node:path";
import { parseUrlAllow } from "@maia/outbound";
import type { IsolationLevel } from "@maia/runner-protocol";
import {
  ConfigError,
  type Constants,
  type Env,
  readConstants,
  readEnum,
  readFlag,
  readInteger,
  readOptional,
  readPort,
  readString,
  readUrl,
} from "@maia/service";
import { type GatewayCarrierConfig, readGatewayCarrier } from "./gateway/gateway-config.js";
import { BLOB_MAX_BYTES, isLoopback } from "./limits.js";

/** What a runner is told by its environment. */
export interface RunnerConfig {
  readonly dataDir: string;
  readonly isolation: "auto" | IsolationLevel;
  readonly carrier: DirectCarrierConfig | GatewayCarrierConfig;
  /** How many attempts may run at once. */
  readonly slots: number;
  readonly drainLimitMs: number;
  readonly leaseTtlMs: number;
  /** Where packages come from (null: the machine's own settings say so), and how much of them is kept, in bytes. */
  readonly packages: {
    readonly npmRegistry: string | null;
    readonly pythonIndex: string | null;
    readonly timeoutMs: number;
    readonly cacheBytes: number;
  };
  readonly connectivityTimeoutMs: number;
  /** Raw text of MAIA_URL_ALLOW and of MAIA_URL_DNS. */
  readonly urlAllow: string;
  readonly urlDns: string;
  /** The folder of the store for data that is not to leave the runner; null: it keeps none. */
  readonly keepDir: string | null;
  readonly keep: KeepConfig;
}

/** How long things are remembered after their attempt has ended. In milliseconds. */
export interface KeepConfig {
  /** Ids of attempts. An engine that was away for less never starts one twice; three days outlast a weekend. */
  readonly ledgerMs: number;
  /** Frames of attempts, for an engine that has not fetched them yet. */
  readonly spoolMs: number;
  /** Content that no running attempt uses. It outlasts the frames that name it. */
  readonly blobMs: number;
}

/** The carrier that an engine dials. */
export interface DirectCarrierConfig {
  readonly kind: "direct";
  readonly host: string;
  readonly port: number;
  readonly token: string;
  /** Files with a certificate and its key; null: plain HTTP. */
  readonly tls: { readonly certFile: string; readonly keyFile: string } | null;
  readonly streamHeartbeatMs: number;
  /** A request body that brings no byte for so long is given up. In milliseconds. */
  readonly bodyIdleMs: number;
  readonly blobMaxBytes: number;
}

const HOUR_MS = 3_600_000;
const MIN_TOKEN = 32; // characters. Source: contract.md, §2

/** Reads the environment. @throws {ConfigError} naming the variable and what to do. */
export function readConfig(env: Env): RunnerConfig {
  const constants = readConstants(env);
  const spoolMs = readInteger(env, "MAIA_RUNNER_SPOOL_KEEP_MS", 24 * HOUR_MS);
  const dataDir = resolve(
    readString(env, "MAIA_RUNNER_DATA_DIR", join(readString(env, "MAIA_DATA_DIR", ".maia"), "runner")),
  );
  const isDialling = readOptional(env, "MAIA_GATEWAY_URL") !== null;
  return {
    dataDir,
    keepDir: isDialling ? resolve(readString(env, "MAIA_RUNNER_KEEP_DIR", join(dataDir, "kept"))) : null,
    isolation: readEnum(env, "MAIA_ISOLATION", ["auto", "sandbox", "pid-namespace", "process-group"], "auto"),
    carrier: isDialling ? readGatewayCarrier(env, constants) : readDirectCarrier(env, constants),
    slots: Math.max(1, constants.runnerSlots),
    drainLimitMs: constants.drainLimitMs,
    leaseTtlMs: constants.leaseTtlMs,
    packages: {
      npmRegistry: readUrl(env, "MAIA_NPM_REGISTRY")?.href ?? null,
      pythonIndex: readUrl(env, "MAIA_PYTHON_INDEX", ["http:", "https:", "file:"])?.href ?? null,
      timeoutMs: constants.depsInstallMs,
      cacheBytes: constants.depsCacheMax,
    },
    connectivityTimeoutMs: constants.connectivityTimeoutMs,
    urlAllow: readUrlAllow(env),
    urlDns: readString(env, "MAIA_URL_DNS", ""),
    keep: { ledgerMs: readInteger(env, "MAIA_RUNNER_LEDGER_KEEP_MS", 72 * HOUR_MS), spoolMs, blobMs: 2 * spoolMs },
  };
}

function readUrlAllow(env: Env): string {
  const text = readString(env, "MAIA_URL_ALLOW", "");
  try {
    parseUrlAllow(text);
    return text;
  } catch (error) {
    throw new ConfigError((error as Error).message, { cause: error });
  }
}

function readDirectCarrier(env: Env, { streamHeartbeatMs, streamIdleMs: bodyIdleMs }: Constants): DirectCarrierConfig {
  const host = readString(env, "MAIA_RUNNER_HOST", "127.0.0.1");
  const tls = readTls(env);
  if (!tls && !isLoopback(host) && !readFlag(env, "MAIA_TRUST_PROXY")) {
    throw new ConfigError(
      `MAIA_RUNNER_HOST is ${host}: outside loopback a runner listens only with MAIA_TLS_CERT and MAIA_TLS_KEY, or behind something that terminates TLS (MAIA_TRUST_PROXY=1)`,
    );
  }
  const port = readPort(env, "MAIA_RUNNER_PORT", 9090);
  return {
    kind: "direct",
    host,
    port,
    token: readToken(env),
    tls,
    streamHeartbeatMs,
    bodyIdleMs,
    blobMaxBytes: BLOB_MAX_BYTES,
  };
}

function readToken(env: Env): string {
  const token = env.RUNNER_TOKEN ?? "";
  const fix = "set it to a random word of at least 32 characters, the same for the engine";
  if (token === "") throw new ConfigError(`RUNNER_TOKEN is not set; ${fix}`);
  if (!/^[\x21-\x7e]*$/.test(token))
    throw new ConfigError(`RUNNER_TOKEN holds a space, a line break or a special character; ${fix}`);
  if (token.length < MIN_TOKEN) throw new ConfigError(`RUNNER_TOKEN has ${token.length} characters; ${fix}`);
  return token;
}

function readTls(env: Env): DirectCarrierConfig["tls"] {
  const certFile = readOptional(env, "MAIA_TLS_CERT");
  const keyFile = readOptional(env, "MAIA_TLS_KEY");
  if (!certFile && !keyFile) return null;
  if (!certFile || !keyFile)
    throw new ConfigError("MAIA_TLS_CERT and MAIA_TLS_KEY belong together; set both or neither");
  return { certFile, keyFile };
}
