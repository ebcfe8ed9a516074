/** What a runner is found to be doing. Derived from facts, never stored. */
export type RunnerStatus = "PENDING" | "RUNNING" | "UNKNOWN" | "STOPPING" | "STOPPED" | "PAUSING" | "PAUSED";

/** An instance that takes no new task above this share of its processors. Source: mission-facts A7. */
export const CPU_MARK = 0.8;
/** … nor above this share of its memory. */
export const MEMORY_MARK = 0.9;

/** A pause as it is stored. */
export interface PauseFacts {
  readonly requestedAt: Date;
  /** When the last task and the last open transaction had ended; null: some still go on. */
  readonly quietAt: Date | null;
  readonly resumedAt: Date | null;
}

/** One process of a runner, as its last messages left it. */
export interface InstanceFacts {
  readonly helloAt: Date;
  /** Nothing was heard of it for too long. */
  readonly silentAt: Date | null;
  readonly stoppingAt: Date | null;
  /** It said goodbye. */
  readonly stoppedAt: Date | null;
}

export interface RunnerFacts {
  /** The newest pause, over or not. */
  readonly pause: PauseFacts | null;
  /** Tasks that were handed over and have not ended. */
  readonly inFlight: number;
  readonly openTransactions: number;
  readonly instances: readonly InstanceFacts[];
}

/** When a pause ends by itself; null while it is not quiet yet, since the hours count from then. */
export function pausedUntil(pause: PauseFacts, autoResumeMs: number): Date | null {
  return pause.quietAt && new Date(pause.quietAt.getTime() + autoResumeMs);
}

/** When a pause ended: somebody resumed, or its time was over. Null: it lasts. */
export function resumedAt(pause: PauseFacts, autoResumeMs: number, now: Date): Date | null {
  const until = pausedUntil(pause, autoResumeMs);
  const byItself = until !== null && until <= now ? until : null;
  if (!pause.resumedAt) return byItself;
  return byItself && byItself < pause.resumedAt ? byItself : pause.resumedAt;
}

/** True while the runner gets no new tasks because of a pause. */
export function isPaused(pause: PauseFacts | null, autoResumeMs: number, now: Date): boolean {
  return pause !== null && resumedAt(pause, autoResumeMs, now) === null;
}

/** True for an instance that can be talked to. */
export function isConnected({ silentAt, stoppedAt }: InstanceFacts): boolean {
  return silentAt === null && stoppedAt === null;
}

/** What a runner is doing. */
export function runnerStatus(runner: RunnerFacts, autoResumeMs: number, now: Date): RunnerStatus {
  const { pause, inFlight, openTransactions, instances } = runner;
  if (isPaused(pause, autoResumeMs, now)) return inFlight + openTransactions > 0 ? "PAUSING" : "PAUSED";
  if (instances.length === 0) return "PENDING";
  const live = instances.filter(isConnected);
  if (live.length === 0) return instances.some(vanished) ? "UNKNOWN" : "STOPPED";
  return live.every(({ stoppingAt }) => stoppingAt !== null) ? "STOPPING" : "RUNNING";
}

/** It fell silent without a goodbye. */
function vanished({ stoppedAt }: InstanceFacts): boolean {
  return stoppedAt === null;
}
