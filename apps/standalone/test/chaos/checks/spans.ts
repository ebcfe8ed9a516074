import type { Chaos, Span } from "../chaos.ts";
import { nameOf } from "../ledger.ts";
import type { StoredAttempt } from "./attempts.ts";

/**
 * What a paused runner, and one that was closed to somebody, may not do. Starts are told by the steps themselves; what had
 * left Maia before the order was acknowledged may still begin.
 */
export function checkSpans(chaos: Chaos, attempts: readonly StoredAttempt[], fenced: ReadonlySet<string>): void {
  const byName = new Map(attempts.map((attempt) => [nameOf(attempt), attempt]));
  for (const start of chaos.ledger.starts) {
    const attempt = byName.get(nameOf(start));
    if (!attempt || attempt.handedAt === null) continue; // told by another check
    const isNew = ({ runnerId, from, to }: Span) =>
      runnerId === attempt.runnerId && start.at > from && start.at < to && attempt.handedAt! > from;
    const pause = chaos.pauses.find(isNew);
    if (pause && !wasOpen(attempt, pause)) chaos.violate(`G21 ${nameOf(start)} started on a paused runner`);
    if (fenced.has(start.runId) && chaos.fences.some(isNew))
      chaos.violate(`G23 ${nameOf(start)} started where it may not`);
  }
  for (const pause of chaos.pauses) checkInterrupted(chaos, attempts, pause);
}

/** Its transaction was open before the pause, and so goes on in it. */
function wasOpen({ openedAt }: StoredAttempt, { from }: Span): boolean {
  return openedAt !== null && openedAt <= from;
}

/** A pause lets tasks end: none is lost in it that had begun while nobody harmed the runner. */
function checkInterrupted(chaos: Chaos, attempts: readonly StoredAttempt[], pause: Span): void {
  for (const attempt of attempts) {
    const { handedAt, finishedAt, runnerId, status } = attempt;
    if (runnerId !== pause.runnerId || handedAt === null || handedAt < pause.calmFrom || handedAt > pause.from)
      continue;
    if (status === "LOST" && finishedAt > pause.from && finishedAt < pause.to)
      chaos.violate(`G21 ${nameOf(attempt)} was lost in a pause: ${attempt.failure}`);
  }
}
