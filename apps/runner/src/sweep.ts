import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "@maia/service";
import type { BlobStore } from "@maia/storage";
import type { Attempts } from "./attempts/attempts.js";
import type { KeepConfig } from "./config.js";
import type { Ledger } from "./ledger/ledger.js";

export interface SweepDeps {
  readonly ledger: Ledger;
  readonly attempts: Attempts;
  readonly blobs: BlobStore;
  readonly spoolDir: string;
  readonly keep: KeepConfig;
  readonly logger: Logger;
  readonly clock: () => Date;
}

/** How often a runner looks for what it may forget, at most. In milliseconds. */
const SWEEP_EVERY_MS = 3_600_000;

/** Forgets from time to time what is old: ids, frames, content. Nothing that a running attempt uses. */
export function sweepRegularly(deps: SweepDeps): Disposable {
  const everyMs = Math.max(1_000, Math.min(SWEEP_EVERY_MS, deps.keep.spoolMs / 4, deps.keep.ledgerMs / 4));
  let timer: NodeJS.Timeout | null = null;
  const again = () => {
    timer = setTimeout(() => void round(), everyMs);
    timer.unref();
  };
  const round = async () => {
    await sweep(deps).catch((error: unknown) => deps.logger.error("old things could not be forgotten", { error }));
    if (timer) again();
  };
  again();
  return {
    [Symbol.dispose]: () => {
      if (timer) clearTimeout(timer);
      timer = null;
    },
  };
}

/** Forgets what is old by now. */
export async function sweep({ ledger, attempts, blobs, spoolDir, keep, clock }: SweepDeps): Promise<void> {
  const now = clock().getTime();
  await ledger.sweep(clock());
  for (const name of await readdir(spoolDir)) {
    const path = join(spoolDir, name);
    const attemptId = name.replace(/\.ndjson$/, "");
    const writtenAt = await stat(path).then(
      ({ mtimeMs }) => mtimeMs,
      () => now,
    );
    if (now - writtenAt > keep.spoolMs && !attempts.isRunning(attemptId)) await rm(path, { force: true });
  }
  for await (const { sha256, putAt } of blobs.list()) {
    if (now - putAt.getTime() > keep.blobMs && !attempts.inUse().has(sha256)) await blobs.remove(sha256);
  }
}
