import type { Inline, Task } from "@maia/runner-protocol";
import { type GatewayClient, GatewayError, type HeldAttempt } from "@maia/runner-protocol/client";
import type { Logger } from "@maia/service";
import type { BlobStore } from "@maia/storage";
import type { LimitFunction } from "p-limit";
import { contentOf } from "../attempts/start-attempt.js";
import { keptOf } from "../keep/keep.js";
import { Backoff, pause } from "./backoff.js";

export interface ContentDeps {
  readonly client: GatewayClient;
  readonly blobs: BlobStore;
  readonly logger: Logger;
  /** Bounds how much is fetched at once. */
  readonly limit: LimitFunction;
  readonly blobMaxBytes: number;
}

/** Content of a task that cannot be had, for a reason that another try does not change. */
export class ContentError extends Error {
  override readonly name = "ContentError";
}

/** The disk had no room for content of a task for as long as the attempt may wait; another instance may have it. */
export class NoRoomError extends Error {
  override readonly name = "NoRoomError";
}

/** How often bytes that are wrong or not there are asked for. */
const TRIES = 4;
const RETRY_MS = { first: 200, most: 10_000 } as const;

/**
 * Fetches the content of a task that neither is here yet nor came along with it. What is stored has the hash that the task names.
 * @throws {ContentError}, {NoRoomError}; {GatewayError} ATTEMPT_ENDED, SUPERSEDED. Returns early when the signal is aborted.
 */
export async function fetchContent(deps: ContentDeps, task: Task, has: Inline, signal: AbortSignal): Promise<void> {
  const sizes = new Map(task.files.map(({ sha256, sizeBytes }) => [sha256, sizeBytes]));
  const kept = keptOf(task);
  const wanted = [...new Set(contentOf(task))].filter((sha256) => !has.has(sha256) && !kept.has(sha256));
  const all = wanted.map((sha256) =>
    deps.limit(() => fetchBlob(deps, task, sha256, sizes.get(sha256) ?? deps.blobMaxBytes, signal)),
  );
  await Promise.all(all);
}

async function fetchBlob(
  { client, blobs, logger }: ContentDeps,
  attempt: HeldAttempt & Pick<Task, "reconnectWindowMs">,
  sha256: string,
  maxBytes: number,
  signal: AbortSignal,
): Promise<void> {
  const backoff = new Backoff(RETRY_MS.first, RETRY_MS.most);
  let fullSince: number | null = null;
  for (let failures = 0; !signal.aborted; ) {
    if (await blobs.touch(sha256)) return;
    try {
      await blobs.put(client.getBlob(attempt, sha256, signal), { expectSha256: sha256, maxBytes, signal });
      return;
    } catch (error) {
      if (signal.aborted) return;
      if (endsAttempt(error)) throw error;
      if (isFinal(error) && ++failures === TRIES)
        throw new ContentError(`content ${sha256} cannot be had: ${(error as Error).message}`, { cause: error });
      fullSince = isFull(error) ? (fullSince ?? performance.now()) : null;
      if (fullSince !== null && performance.now() - fullSince >= attempt.reconnectWindowMs)
        throw new NoRoomError(`the runner's disk has no room for content of the task, up to ${maxBytes} bytes`);
      const { message } = error as Error;
      logger.warn("content of a task has to wait", { attemptId: attempt.attemptId, sha256, error: message });
      await pause((error instanceof GatewayError ? error.retryAfterMs : null) ?? backoff.next(), signal);
    }
  }
}

function endsAttempt(error: unknown): boolean {
  return error instanceof GatewayError && (error.code === "ATTEMPT_ENDED" || error.code === "SUPERSEDED");
}

function isFull(error: unknown): boolean {
  return (error as { code?: unknown }).code === "STORAGE_FULL";
}

/** True where time alone does not help. A disk that is full and a gateway that is away pass. */
function isFinal(error: unknown): boolean {
  if (error instanceof GatewayError) return error.code === "NOT_FOUND" || error.code === "REFUSED";
  return (error as Error).name === "MaiaError" && !isFull(error); // of the blob store
}
