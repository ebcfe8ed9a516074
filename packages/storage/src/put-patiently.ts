import { setTimeout as pause } from "node:timers/promises";
import { isMaiaError } from "@maia/domain";
import type { BlobStore, StoredBlob } from "./blob-store.js";

/** How long to wait before a full disk is tried again, in milliseconds. */
const RETRY_MS = 1_000;

/**
 * Puts bytes that must not be lost because the disk is full for a while: it waits for room, and reads them anew.
 * `waiting` is told of each wait. @throws what `put` throws for any other reason, and when the signal aborts.
 */
export async function putPatiently(
  blobs: BlobStore,
  open: () => AsyncIterable<Uint8Array>,
  waiting: (error: Error) => void,
  signal?: AbortSignal,
): Promise<StoredBlob> {
  for (;;) {
    try {
      return await blobs.put(open(), signal ? { signal } : {});
    } catch (error) {
      if (!isMaiaError(error) || error.code !== "STORAGE_FULL" || signal?.aborted) throw error;
      waiting(error);
      await pause(RETRY_MS, undefined, { signal });
    }
  }
}
