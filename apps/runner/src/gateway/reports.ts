import type { HeldAttempt } from "@maia/runner-protocol/client";
import pLimit from "p-limit";
import { Report, type ReportDeps } from "./report.js";
import type { Unconfirmed } from "./unconfirmed.js";

export interface ReportsDeps extends ReportDeps {
  readonly unconfirmed: Unconfirmed;
  /** Settles once the gateway has been reached for the first time. */
  readonly contact: Promise<void>;
}

/** How many attempts of an earlier process are reported at once. */
const RESUMED_AT_ONCE = 8;

/** The attempts whose end the gateway has not confirmed, each with its report. */
export class Reports {
  readonly #open = new Map<string, Promise<void>>();

  constructor(private readonly deps: ReportsDeps) {}

  /** Takes up what an earlier process has left. */
  resume(): void {
    const limit = pLimit(RESUMED_AT_ONCE);
    for (const attempt of this.deps.unconfirmed.all()) this.#add(attempt, () => limit(() => this.#run(attempt, null)));
  }

  /** Begins to report an attempt; one that is reported already is let be. */
  begin(attempt: HeldAttempt, isNew: boolean): void {
    if (this.has(attempt.attemptId)) return;
    this.#add(attempt, () => this.#run(attempt, isNew ? 1 : null));
  }

  has(attemptId: string): boolean {
    return this.#open.has(attemptId);
  }

  ids(): string[] {
    return [...this.#open.keys()];
  }

  /** Resolves when all that is reported now is confirmed, or given up with the signal. */
  async allConfirmed(): Promise<void> {
    await Promise.all(this.#open.values());
  }

  #add({ attemptId }: HeldAttempt, run: () => Promise<void>): void {
    const { logger } = this.deps;
    const report = run().catch((error: unknown) => {
      logger.error("an attempt could not be reported", { attemptId, error });
    });
    this.#open.set(
      attemptId,
      report.finally(() => this.#open.delete(attemptId)),
    );
  }

  async #run(attempt: HeldAttempt, nextSeq: number | null): Promise<void> {
    const { deps } = this;
    await deps.contact;
    if (!(await new Report(deps, attempt, nextSeq).run())) return;
    const { attemptId } = attempt;
    if (deps.attempts.isRunning(attemptId)) await deps.attempts.cancel(attemptId, "kill"); // it was ended elsewhere
    await deps.attempts.forget(attemptId);
    await deps.unconfirmed.remove(attemptId);
  }
}
