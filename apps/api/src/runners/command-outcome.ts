import { setTimeout as sleep } from "node:timers/promises";
import { readCommand } from "@maia/db";
import type { ApiContext } from "../context.js";

/** How often we look although nobody has rung. In milliseconds. */
export const LOOK_EVERY_MS = 250;

/** What came of a command. */
export interface Outcome {
  /** JSON; null: the instance said nothing of it. */
  readonly result: string | null;
}

/** What came of a command of a runner within so long. Null: nothing did. */
export async function outcomeWithin(
  { db }: ApiContext,
  commandId: string,
  withinMs: number,
  stopping: AbortSignal,
): Promise<Outcome | null> {
  const until = performance.now() + withinMs;
  for (const bell = db.bell("engine"); performance.now() < until && !stopping.aborted; ) {
    const over = new AbortController();
    const either = AbortSignal.any([over.signal, stopping]);
    const rung = bell.next(either); // listen before looking
    const found = await readCommand(db.sql, commandId);
    if (!found?.finishedAt) await Promise.race([rung, pause(LOOK_EVERY_MS, either)]);
    over.abort();
    if (found?.finishedAt) return { result: found.result };
  }
  return null;
}

/** Waits, unless the signal aborts first. */
export async function pause(ms: number, signal: AbortSignal): Promise<null> {
  return sleep(Math.max(0, ms), null, { signal }).catch(() => null); // ended early, on purpose
}
