import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { getCACertificates } from "node:tls";
import type { Reach } from "@maia/runner-protocol/client";
import { ConfigError } from "@maia/service";
import { HttpProxyAgent, HttpsProxyAgent } from "hpagent";

/** By which way the gateway is reached. */
export interface ReachConfig {
  /** The proxy for a gateway behind `http:` or `https:`, or null. */
  readonly proxyHttp: URL | null;
  readonly proxyHttps: URL | null;
  /** Hosts that are reached without a proxy; `*` stands for anything. */
  readonly proxyExcludes: readonly string[];
  /** A file with certificates of authorities that are trusted besides those of Node; null: none. */
  readonly certFile: string | null;
}

/** Connections to the gateway's host. @throws {ConfigError} on a file of certificates that cannot be used. */
export async function openReach(config: ReachConfig, host: string): Promise<Reach> {
  const authorities = config.certFile === null ? null : await readAuthorities(config.certFile);
  const isDirect = isExcluded(host, config.proxyExcludes);
  const options = { keepAlive: true };
  const toProxy = authorities ? { ca: [...authorities] } : {};
  const agents = {
    http:
      config.proxyHttp && !isDirect
        ? new HttpProxyAgent({ ...options, proxy: config.proxyHttp, proxyRequestOptions: toProxy })
        : new HttpAgent(options),
    https:
      config.proxyHttps && !isDirect
        ? new HttpsProxyAgent({ ...options, proxy: config.proxyHttps, proxyRequestOptions: toProxy })
        : new HttpsAgent(options),
  };
  return authorities ? { ...agents, authorities } : agents;
}

/** True for a host that one of the patterns names. */
export function isExcluded(host: string, patterns: readonly string[]): boolean {
  const bare = host.replace(/^\[|\]$/g, "").toLowerCase();
  return patterns.some((pattern) => {
    const parts = pattern
      .toLowerCase()
      .split("*")
      .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
    return new RegExp(`^${parts.join(".*")}$`).test(bare);
  });
}

/** Node's authorities and those of a file, in PEM or DER. */
async function readAuthorities(path: string): Promise<string[]> {
  const bad = (problem: string) => new ConfigError(`CUSTOM_CERT_LOCATION is ${path}: ${problem}`);
  const bytes = await readFile(path).catch((error: Error) => {
    throw bad(`the file cannot be read (${error.message})`);
  });
  try {
    return [...getCACertificates("default"), ...certificatesIn(bytes)];
  } catch (error) {
    throw bad(`it holds no certificate in PEM or DER (${(error as Error).message})`);
  }
}

function certificatesIn(bytes: Buffer): string[] {
  const pem = bytes.toString("latin1").match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g);
  return (pem ?? [bytes]).map((certificate) => new X509Certificate(certificate).toString());
}
