import { setTimeout as delay } from "node:timers/promises";
import type { ApiClient } from "../api-client.js";
import type { Batch } from "../api-types.js";
import type { Context } from "../context.js";
import { CliError } from "../errors.js";
import { exitCodes } from "../exit-codes.js";
import { duration } from "../output/format.js";
import { isEnded } from "../output/status.js";

const POLL_MAX_MS = 1_000;

/** Says how far a batch is whenever that changes, until it ends. Ctrl-C and the timeout leave it running. @throws {CliError} */
export async function followBatch(
  { terminal }: Context,
  api: ApiClient,
  id: string,
  timeoutMs?: number,
): Promise<Batch> {
  const interrupt = new AbortController();
  const onInterrupt = () => interrupt.abort();
  process.once("SIGINT", onInterrupt);
  const late = timeoutMs === undefined ? null : AbortSignal.timeout(timeoutMs);
  const signal = late ? AbortSignal.any([interrupt.signal, late]) : interrupt.signal;
  try {
    let said = "";
    for (let pause = 50; !signal.aborted; pause = Math.min(pause * 2, POLL_MAX_MS)) {
      const batch = await api.get<Batch>(`v1/batches/${encodeURIComponent(id)}`);
      if (isEnded(batch.status)) return batch;
      const now = `${batch.status}  ${progressOf(batch)}`;
      if (now !== said) terminal.note(now);
      said = now;
      await delay(pause, undefined, { signal }).catch(() => {});
    }
    const hint = `It goes on. Follow it again: maia batches watch ${id}\nCancel it: maia batches cancel ${id}`;
    if (interrupt.signal.aborted) throw new CliError(exitCodes.interrupted, "No longer following", { hint });
    throw new CliError(exitCodes.waitTimedOut, `Not ended within ${duration(timeoutMs ?? 0)}`, { hint });
  } finally {
    process.off("SIGINT", onInterrupt);
  }
}

/** How many rows have ended, and how many of them not well. */
export function progressOf({ itemCount, counts }: Batch): string {
  const { succeeded, failed, canceled, running } = counts;
  const parts = Object.entries({ failed, canceled, running }).filter(([, count]) => count > 0);
  const more = parts.map(([name, count]) => `, ${count} ${name}`).join("");
  return `${succeeded + failed + canceled}/${itemCount}${more}`;
}
