import { readFileSync } from "node:fs";
import { join } from "node:path";
import { usage } from "./errors.js";

export type Env = Readonly<Record<string, string | undefined>>;

export interface ConnectionFlags {
  readonly url?: string;
  readonly apiKey?: string;
}

/** Where Maia is, and who we are to it. */
export interface Connection {
  readonly url: URL;
  readonly apiKey: string | null;
  /** Where the key came from, for messages. */
  readonly keyFrom: string;
}

const DEFAULT_URL = "http://127.0.0.1:3690";

/**
 * Finds address and key: flags, then MAIA_URL and MAIA_API_KEY, then the default address and the key in the data
 * directory. That key goes to this machine only.
 * @throws {CliError} when the address is none.
 */
export function readConnection(env: Env, flags: ConnectionFlags): Connection {
  const text = flags.url ?? (env.MAIA_URL || DEFAULT_URL);
  const url = URL.parse(text.endsWith("/") ? text : `${text}/`);
  if (!url || !["http:", "https:"].includes(url.protocol)) {
    throw usage(`"${text}" is no address of Maia`, `It looks like ${DEFAULT_URL}: set --url or MAIA_URL`);
  }
  if (flags.apiKey) return { url, apiKey: flags.apiKey, keyFrom: "--api-key" };
  if (env.MAIA_API_KEY) return { url, apiKey: env.MAIA_API_KEY, keyFrom: "MAIA_API_KEY" };
  const file = join(dataDirOf(env), "admin-key");
  const apiKey = isLoopback(url) ? readKey(file) : null;
  return { url, apiKey, keyFrom: apiKey === null ? "nowhere" : file };
}

/** The data directory that a Maia on this machine uses. */
export function dataDirOf(env: Env): string {
  return env.MAIA_DATA_DIR || ".maia";
}

function isLoopback({ hostname }: URL): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

function readKey(file: string): string | null {
  try {
    return readFileSync(file, "utf8").trim() || null;
  } catch {
    return null;
  }
}
