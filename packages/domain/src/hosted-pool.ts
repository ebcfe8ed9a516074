import type { RetryPolicy } from "./retry.js";

/** Within what the hosted runner's own processes are kept. */
export interface PoolLimits {
  readonly min: number;
  readonly max: number;
  /** How long fewer of them must have been enough before one goes. In milliseconds. */
  readonly idleMs: number;
}

/** What there is to do for them. */
export interface PoolLoad {
  /** Tasks that they have. */
  readonly inFlight: number;
  /** Jobs and steps that wait for them. */
  readonly queued: number;
  /** How many tasks one of them takes at once. */
  readonly slots: number;
}

/** How long a process that has crashed stays away: a little longer each time. */
export const POOL_RESTART: RetryPolicy = {
  maxAttempts: Number.MAX_SAFE_INTEGER,
  backoffMs: 250,
  multiplier: 2,
  maxBackoffMs: 30_000,
  jitter: 0.2,
};
/** A process that has lived so long has not crashed at its start. In milliseconds. */
export const POOL_SETTLED_MS = 60_000;

/** How many processes would do for the work that there is. */
export function wantedRunners({ inFlight, queued, slots }: PoolLoad, { min, max }: PoolLimits): number {
  return Math.min(max, Math.max(min, Math.ceil((inFlight + queued) / Math.max(1, slots))));
}

/**
 * How many processes there should be: more at once, fewer one by one and only after fewer have been enough for a while.
 * @param enoughMs how long fewer than now have been enough
 */
export function nextPoolSize(size: number, wanted: number, enoughMs: number, { idleMs, max }: PoolLimits): number {
  if (wanted > size) return wanted;
  if (size > max) return size - 1;
  return wanted < size && enoughMs >= idleMs ? size - 1 : size;
}
