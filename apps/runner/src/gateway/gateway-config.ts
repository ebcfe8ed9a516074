import { resolve } from "node:path";
import { ConfigError, type Constants, type Env, readFlag, readInteger, readOptional, readUrl } from "@maia/service";
import { BLOB_MAX_BYTES, isLoopback } from "../limits.js";
import type { MarksConfig } from "./marks.js";
import type { ReachConfig } from "./reach.js";

/** The carrier that dials out. */
export interface GatewayCarrierConfig {
  readonly kind: "gateway";
  readonly url: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly reach: ReachConfig;
  readonly marks: MarksConfig;
  /** With less room on the disk nothing new is taken; 0: whatever there is. In bytes. */
  readonly diskMinBytes: number;
  /** How long an answer may take, or stop in its middle. In milliseconds. */
  readonly answerMs: number;
  readonly blobMaxBytes: number;
  /** How often the store is swept, and how old content is at least that goes. In milliseconds. */
  readonly keepSweepMs: number;
  readonly keepAgeMs: number;
}

/** Reads how the gateway is dialled. @throws {ConfigError} naming the variable and what to do. */
export function readGatewayCarrier(env: Env, constants: Constants): GatewayCarrierConfig {
  const url = readGatewayUrl(env);
  return {
    kind: "gateway",
    url: url.href.replace(/\/+$/, ""),
    clientId: readCredential(env, "MAIA_CLIENT_ID"),
    clientSecret: readCredential(env, "MAIA_CLIENT_SECRET"),
    reach: {
      proxyHttp: readProxy(env, "PROXY_HTTP"),
      proxyHttps: readProxy(env, "PROXY_HTTPS"),
      proxyExcludes: (readOptional(env, "PROXY_EXCLUDES") ?? "").split("|").flatMap((host) => host.trim() || []),
      certFile: readCertFile(env),
    },
    marks: { cpu: readMark(env, constants, "runnerCpuMark"), memory: readMark(env, constants, "runnerMemoryMark") },
    diskMinBytes: constants.runnerDiskMin,
    answerMs: constants.streamIdleMs,
    blobMaxBytes: BLOB_MAX_BYTES,
    keepSweepMs: readInteger(env, "MAIA_RUNNER_KEEP_SWEEP_MS", 3_600_000),
    keepAgeMs: constants.blobGcAgeMs,
  };
}

function readGatewayUrl(env: Env): URL {
  const url = readUrl(env, "MAIA_GATEWAY_URL")!;
  if (url.username || url.password || url.search || url.hash)
    throw new ConfigError(
      "MAIA_GATEWAY_URL holds more than the API's address; put the credentials into MAIA_CLIENT_ID and MAIA_CLIENT_SECRET",
    );
  const host = url.hostname.replace(/^\[|\]$/g, "");
  if (url.protocol === "http:" && !isLoopback(host) && !readFlag(env, "MAIA_TRUST_PROXY"))
    throw new ConfigError(
      `MAIA_GATEWAY_URL is ${url.origin}: outside loopback a runner dials https:// only, unless something else on the way encrypts (MAIA_TRUST_PROXY=1)`,
    );
  return url;
}

function readCredential(env: Env, name: "MAIA_CLIENT_ID" | "MAIA_CLIENT_SECRET"): string {
  const text = env[name] ?? "";
  const fix = "copy it from the runner's credentials";
  if (text === "") throw new ConfigError(`MAIA_GATEWAY_URL is set, but ${name} is not; ${fix}`);
  if (!/^[\x21-\x7e]{1,512}$/.test(text))
    throw new ConfigError(`${name} holds a space, a line break or a special character, or is too long; ${fix}`);
  return text;
}

/** A proxy as `host:port` or as a URL, with or without a user. */
function readProxy(env: Env, name: "PROXY_HTTP" | "PROXY_HTTPS"): URL | null {
  const text = readOptional(env, name);
  if (text === null) return null;
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`);
  if (url && (url.protocol === "http:" || url.protocol === "https:") && url.hostname) return url;
  throw new ConfigError(`${name} is not an address of a proxy, such as proxy.example:3128`); // it may hold a password
}

function readCertFile(env: Env): string | null {
  const path = readOptional(env, "CUSTOM_CERT_LOCATION");
  return path && resolve(path);
}

function readMark(env: Env, constants: Constants, name: "runnerCpuMark" | "runnerMemoryMark"): number {
  const mark = constants[name];
  if (mark <= 100) return mark;
  const variable = name === "runnerCpuMark" ? "MAIA_RUNNER_CPU_MARK" : "MAIA_RUNNER_MEMORY_MARK";
  throw new ConfigError(`${variable} is ${env[variable]}, but a mark is a percentage; 100 switches it off`);
}
