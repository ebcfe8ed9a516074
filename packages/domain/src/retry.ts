import { sha256Hex } from "./canonical-json.js";

/** How a failed step is tried again. Attempts count those that ran and failed; lost ones have a budget of their own. */
export interface RetryPolicy {
  readonly maxAttempts: number;
  readonly backoffMs: number;
  readonly multiplier: number;
  readonly maxBackoffMs: number;
  /** Share of the delay that varies, 0 to 1. */
  readonly jitter: number;
}

export const DEFAULT_RETRY: RetryPolicy = {
  maxAttempts: 1,
  backoffMs: 1_000,
  multiplier: 2,
  maxBackoffMs: 30_000,
  jitter: 0.2,
};

/**
 * How long to wait after failure number `failures` (from 1), in milliseconds, never longer than `maxBackoffMs`. The
 * jitter follows from the seed, so the same failure waits equally long after a restart.
 */
export function retryDelayMs(policy: RetryPolicy, failures: number, seed: string): number {
  const growth = Math.min(policy.multiplier ** (failures - 1), Number.MAX_SAFE_INTEGER);
  const plain = Math.min(policy.maxBackoffMs, policy.backoffMs * growth);
  const unit = Number.parseInt(sha256Hex(`${seed}#${failures}`).slice(0, 8), 16) / 0xffffffff; // 0 to 1
  return Math.min(policy.maxBackoffMs, Math.round(plain * (1 + policy.jitter * (unit * 2 - 1))));
}
