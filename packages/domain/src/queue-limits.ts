import { type PauseFacts, resumedAt } from "./runner.js";

/** What is known of work that waits for a runner. */
export interface QueuedWork {
  readonly queuedAt: Date;
  /** The runner's newest pause, over or not. */
  readonly pause: PauseFacts | null;
  /** When anything was last heard of the runner; null: never. */
  readonly lastSeenAt: Date | null;
}

export interface QueueRules {
  readonly autoResumeMs: number;
  readonly resumeQueueTimeoutMs: number;
}

/**
 * When work that waited through a pause is given up: so long after the runner was resumed, unless it has run since then.
 * Null: it waits on. Source: contract.md, §4.
 */
export function resumeDeadline({ queuedAt, pause, lastSeenAt }: QueuedWork, rules: QueueRules, now: Date): Date | null {
  const resumed = pause && resumedAt(pause, rules.autoResumeMs, now);
  if (!resumed || queuedAt > resumed || (lastSeenAt !== null && lastSeenAt >= resumed)) return null;
  return new Date(resumed.getTime() + rules.resumeQueueTimeoutMs);
}
