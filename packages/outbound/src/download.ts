import type { IncomingMessage } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { type Answer, ask, type DownloadLimits, type Question, tooLarge } from "./ask.js";
import { DownloadError, explained } from "./download-error.js";
import type { Resolve } from "./resolve.js";
import type { UrlAllow } from "./url-allow.js";

export interface DownloadOptions<T> {
  readonly limits: DownloadLimits;
  readonly allow: UrlAllow;
  /**
   * Takes the bytes from their beginning, and again where the download has to begin anew. What it gives is part of the
   * answer; when it fails, so does the download.
   */
  readonly sink: (bytes: AsyncIterable<Uint8Array>) => Promise<T>;
  /** How often what may pass is tried again, and how long each wait is, in milliseconds. Default: not at all. */
  readonly retryMs?: readonly number[];
  /** Told of the bytes so far, and of all where the server has said how many there are. */
  readonly progress?: (receivedBytes: number, totalBytes: number | null) => void;
  readonly signal?: AbortSignal;
  readonly resolve?: Resolve;
}

/**
 * Fetches a URL that somebody else chose, and streams its body into a sink. Every hop is vetted anew. What breaks off is
 * taken up where it broke when the server can prove that its content is the same, and begun anew when it cannot.
 * @throws {MaiaError} URL_BLOCKED where the guard refuses, TOO_LARGE above the limit.
 * @throws {DownloadError} on all else that goes wrong out there.
 */
export async function download<T extends object>(
  url: string,
  options: DownloadOptions<T>,
): Promise<T & { mime: string }> {
  const { limits, signal, retryMs = [], allow, resolve } = options;
  const late = AbortSignal.timeout(limits.totalMs);
  const stop = signal ? AbortSignal.any([signal, late]) : late;
  const source: Source<T> = { url, allow, limits, ...(resolve ? { resolve } : {}), stop, options, waits: [...retryMs] };
  try {
    for (;;) {
      try {
        return await fetchWhole(source);
      } catch (error) {
        await waitToRetry(source, explained(error));
      }
    }
  } catch (error) {
    signal?.throwIfAborted();
    if (late.aborted) throw new DownloadError(`It took longer than ${limits.totalMs} ms`, false, { cause: error });
    throw explained(error);
  }
}

/** One download, over all its tries. */
interface Source<T> extends Question {
  readonly options: DownloadOptions<T>;
  /** The waits that are left, in milliseconds. */
  readonly waits: number[];
}

async function waitToRetry({ waits, stop }: { waits: number[]; stop: AbortSignal }, error: unknown): Promise<void> {
  const waitMs = error instanceof DownloadError && error.isPassing ? waits.shift() : undefined;
  if (waitMs === undefined) throw error;
  await pause(waitMs, undefined, { signal: stop });
}

async function fetchWhole<T extends object>(source: Source<T>): Promise<T & { mime: string }> {
  const answer = await ask(source, 0, null);
  try {
    const kept = await source.options.sink(bytesOf(source, answer));
    return { ...kept, mime: mimeOf(answer.headers["content-type"]) };
  } finally {
    answer.stream.destroy();
  }
}

/** The bytes of an answer, and of those that take it up where it breaks off. */
async function* bytesOf<T>(source: Source<T>, first: Answer): AsyncGenerator<Uint8Array> {
  const { limits, progress } = source.options;
  const proof = validatorOf(first.headers);
  let answer = first;
  for (let at = 0; ; ) {
    try {
      for await (const chunk of answer.stream as AsyncIterable<Uint8Array>) {
        at += chunk.byteLength;
        if (at > limits.wireMax) throw tooLarge(limits.wireMax);
        progress?.(at, first.totalBytes);
        yield chunk;
      }
      return;
    } catch (error) {
      if (proof === null || at === 0) throw error;
      await waitToRetry(source, explained(error));
    } finally {
      answer.stream.destroy();
    }
    answer = await ask(source, at, proof);
  }
}

/** What a later answer can be held against: only a strong validator says that every byte is the same. */
function validatorOf({ etag, "accept-ranges": ranges }: IncomingMessage["headers"]): string | null {
  return etag !== undefined && /^"[^"]*"$/.test(etag) && ranges !== "none" ? etag : null;
}

/** The type without its parameters; what is malformed is bytes. */
function mimeOf(contentType = ""): string {
  const essence = contentType.split(";")[0]!.trim().toLowerCase();
  return /^[\w.+-]{1,60}\/[\w.+-]{1,60}$/.test(essence) ? essence : "application/octet-stream";
}
