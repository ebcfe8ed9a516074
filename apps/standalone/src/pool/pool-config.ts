import { INSTANCES_MAX, type PoolLimits } from "@maia/domain";
import { ConfigError, type Env, readInteger } from "@maia/service";

/** The hosted runner's own processes: how many, and what they are started with. */
export interface PoolConfig extends PoolLimits {
  /** Their environment, without who they are and where they dial. */
  readonly env: Env;
  /** How long a process may take until the gateway knows it, before a roll stops with it. In milliseconds. */
  readonly connectMs: number;
}

const IDLE_MS = 60_000;
const CONNECT_MS = 60_000;

/** What is for this process alone, or would lead the runners elsewhere. Everything else is the machine's own settings. */
const NOT_FOR_THEM = [
  /^MAIA_SECRET_KEY$/,
  /^MAIA_API_/,
  /^MAIA_TLS_/,
  /^MAIA_URL$/,
  /^MAIA_HOSTED_POOL/,
  /^MAIA_CLIENT_/,
  /^MAIA_GATEWAY_URL$/,
  /^MAIA_RUNNER_(HOST|PORT|DATA_DIR)$/,
  /^DATABASE_URL$/,
  /^RUNNER_/,
  /^PROXY_/,
];

/** Reads the pool's settings; null: there is none. @throws {ConfigError} naming the variable. */
export function readPool(env: Env): PoolConfig | null {
  const max = readInteger(env, "MAIA_HOSTED_POOL", 0);
  if (max === 0) return null;
  if (max > INSTANCES_MAX) throw new ConfigError(`MAIA_HOSTED_POOL is ${max}; it can be at most ${INSTANCES_MAX}`);
  const min = readInteger(env, "MAIA_HOSTED_POOL_MIN", 1);
  if (min < 1 || min > max)
    throw new ConfigError(`MAIA_HOSTED_POOL_MIN is ${min}; it must be from 1 to MAIA_HOSTED_POOL, which is ${max}`);
  const idleMs = readInteger(env, "MAIA_HOSTED_POOL_IDLE_MS", IDLE_MS);
  const connectMs = readInteger(env, "MAIA_HOSTED_POOL_CONNECT_MS", CONNECT_MS);
  const theirs = Object.entries(env).filter(([name]) => !NOT_FOR_THEM.some((pattern) => pattern.test(name)));
  return { min, max, idleMs, connectMs, env: Object.fromEntries(theirs) };
}
