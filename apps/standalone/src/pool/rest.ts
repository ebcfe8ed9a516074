import { setTimeout as sleep } from "node:timers/promises";

/** Waits, or until the signal is aborted; it never fails. */
export async function rest(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
}
