import { stat } from "node:fs/promises";
import { type ArtifactFrame, type Content, ExecutorError, type FindContent, type Frame } from "@maia/runner-protocol";
import type { RunnerClient } from "@maia/runner-protocol/client";
import { Backoff, pause } from "./pause.js";

export interface RemoteBlobsOptions {
  readonly client: RunnerClient;
  /** Stores bytes here and says what they were. */
  readonly keep: (bytes: AsyncIterable<Uint8Array>) => Promise<{ sha256: string; sizeBytes: number }>;
  /** Whether bytes are here already. */
  readonly has: (sha256: string) => Promise<boolean>;
  /** How long contact may be lost before a transfer is given up. In milliseconds. */
  readonly silenceMs: number;
  readonly signal: AbortSignal;
  readonly log: (message: string, fields: object) => void;
}

/** Artifacts that are fetched at the same time. */
const AT_ONCE = 4;
/** Tries to fetch an artifact whose bytes turn out not to be what its frame says. */
const MOST_MISMATCHES = 3;

/** The bytes that travel between an engine and its runner. */
export class RemoteBlobs {
  readonly #uploads = new Map<string, Promise<void>>();

  constructor(private readonly options: RemoteBlobsOptions) {}

  /** Brings blobs to the runner. @throws {ExecutorError} BLOB_MISSING where they are not here either, UNREACHABLE */
  async upload(hashes: readonly string[], find: FindContent): Promise<void> {
    for (const sha256 of hashes) {
      const content = find(sha256);
      if (!content || !(await isThere(content)))
        throw new ExecutorError("BLOB_MISSING", `Blob ${sha256} is not there`, { missing: [sha256] });
      await this.#upload(sha256, content);
    }
  }

  /** Brings the bytes of a batch's artifacts here, and makes sure that they are what the frames say (G8). @throws {ExecutorError} */
  async bringArtifacts(frames: readonly Frame[]): Promise<void> {
    const artifacts = frames.filter((frame) => frame.type === "artifact");
    for (let from = 0; from < artifacts.length; from += AT_ONCE) {
      await Promise.all(artifacts.slice(from, from + AT_ONCE).map((artifact) => this.#bring(artifact)));
    }
  }

  /** Attempts of one version need the same script: it is sent once at a time. */
  #upload(sha256: string, content: Content): Promise<void> {
    const underWay = this.#uploads.get(sha256);
    if (underWay) return underWay;
    const upload = this.options.client
      .putBlob(sha256, content, this.options.signal)
      .finally(() => this.#uploads.delete(sha256));
    this.#uploads.set(sha256, upload);
    return upload;
  }

  async #bring(artifact: ArtifactFrame): Promise<void> {
    const { keep, has, signal, log } = this.options;
    const { sha256, sizeBytes, name } = artifact;
    if (await has(sha256)) return;
    const backoff = new Backoff();
    for (let mismatches = 0; mismatches < MOST_MISMATCHES; ) {
      try {
        const kept = await keep(this.#fetch(artifact));
        if (kept.sha256 === sha256 && kept.sizeBytes === sizeBytes) return;
        mismatches++;
      } catch (error) {
        if ((error as { code?: unknown }).code !== "STORAGE_FULL") throw error;
        log("the disk is full; an artifact waits for room", { name, sizeBytes });
        await pause(backoff.next(), signal);
        if (signal.aborted)
          throw new ExecutorError("UNREACHABLE", "The engine stopped while an artifact waited for room");
      }
    }
    throw new ExecutorError(
      "ATTEMPT_LOST",
      `Artifact ${name} came from the runner with other bytes than its hash says`,
    );
  }

  /** The bytes of a blob at the runner, resumed where the connection breaks. */
  async *#fetch({ sha256, name }: ArtifactFrame): AsyncGenerator<Uint8Array> {
    const { client, silenceMs, signal } = this.options;
    const backoff = new Backoff();
    let start = 0;
    let silentSince: number | null = null;
    for (;;) {
      try {
        for await (const chunk of client.getBlob(sha256, start)) {
          start += chunk.length;
          silentSince = null;
          backoff.reset();
          yield chunk;
        }
        return;
      } catch (error) {
        if (error instanceof ExecutorError && error.code === "REFUSED") {
          throw new ExecutorError("ATTEMPT_LOST", `The runner has lost artifact ${name}: ${error.message}`, {
            cause: error,
          });
        }
        silentSince ??= performance.now();
        const isLate = performance.now() - silentSince >= silenceMs;
        if (!(error instanceof ExecutorError) || error.code !== "UNREACHABLE" || isLate || signal.aborted) throw error;
        await pause(backoff.next(), signal);
      }
    }
  }
}

async function isThere(content: Content): Promise<boolean> {
  if ("bytes" in content) return true;
  return stat(content.path).then(
    () => true,
    () => false,
  );
}
