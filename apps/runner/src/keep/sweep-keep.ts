import type { GatewayClient } from "@maia/runner-protocol/client";
import type { Logger } from "@maia/service";
import type { BlobInfo } from "@maia/storage";
import type { Keep } from "./keep.js";

export interface SweepKeepDeps {
  readonly keep: Keep;
  readonly client: Pick<GatewayClient, "findUnused">;
  readonly logger: Logger;
  /** Content that is younger is not asked about. In milliseconds. */
  readonly ageMs: number;
  readonly clock: () => Date;
  readonly signal: AbortSignal;
}

/** How many hashes one question names. */
const AT_ONCE = 500;

/**
 * Removes from the store what nothing refers to any more: what belonged to runs that were deleted, and what a crash left. The
 * gateway knows; whatever is put or used meanwhile stays. @returns how much was removed.
 */
export async function sweepKeep(deps: SweepKeepDeps): Promise<number> {
  const { keep, ageMs, clock, signal } = deps;
  let removed = 0;
  let old: BlobInfo[] = [];
  for await (const blob of keep.blobs.list()) {
    if (signal.aborted) return removed;
    if (clock().getTime() - blob.putAt.getTime() < ageMs) continue;
    if (old.push(blob) < AT_ONCE) continue;
    removed += await removeUnused(deps, old);
    old = [];
  }
  removed += await removeUnused(deps, old);
  await keep.dropAbandoned(clock());
  return removed;
}

async function removeUnused(
  { keep, client, clock, signal }: SweepKeepDeps,
  blobs: readonly BlobInfo[],
): Promise<number> {
  if (blobs.length === 0) return 0;
  const now = clock().getTime();
  const held = blobs.map(({ sha256, putAt }) => ({ sha256, ageMs: Math.max(0, Math.floor(now - putAt.getTime())) }));
  const unused = new Set(await client.findUnused(held, signal));
  let removed = 0;
  for (const { sha256, putAt } of blobs) {
    if (!unused.has(sha256)) continue;
    const before = new Date(Math.floor(putAt.getTime()) + 1); // it must not have become younger since it was listed
    if (await keep.blobs.removeUnused(sha256, before)) removed += 1;
  }
  return removed;
}

/** Sweeps from time to time until the signal aborts. A gateway that is away is asked the next time. */
export async function sweepKeepRegularly(
  deps: SweepKeepDeps,
  pause: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const { logger, signal } = deps;
  for (;;) {
    await pause(signal);
    if (signal.aborted) return;
    try {
      const removed = await sweepKeep(deps);
      if (removed > 0) logger.info("kept data that nothing refers to was removed", { blobs: removed });
    } catch (error) {
      if (!signal.aborted) logger.warn("kept data could not be swept", { error: (error as Error).message });
    }
  }
}
