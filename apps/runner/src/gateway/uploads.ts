import type { ArtifactFrame } from "@maia/runner-protocol";
import type { GatewayClient, HeldAttempt } from "@maia/runner-protocol/client";
import type { BlobStore } from "@maia/storage";

/** Artifacts up to this size are sent unasked, since asking costs as much. In bytes. */
const SMALL_BYTES = 262_144;

/** An artifact whose bytes the runner does not have any more. */
export class BytesGoneError extends Error {
  override readonly name = "BytesGoneError";

  constructor(readonly sha256: string) {
    super(`the bytes of the artifact ${sha256} are gone`);
  }
}

/** Brings the bytes of an attempt's artifacts to the gateway, before the frames that name them. */
export class Uploads {
  /** Content that the gateway has, and that it has said to be missing. */
  readonly #sent = new Set<string>();
  #missing: readonly string[] = [];

  constructor(
    private readonly deps: { readonly client: GatewayClient; readonly blobs: BlobStore; readonly signal: AbortSignal },
    private readonly attempt: HeldAttempt,
  ) {}

  /** Notes what the gateway has said to be missing. */
  note(missing: readonly string[]): void {
    this.#missing = missing;
    for (const sha256 of missing) this.#sent.delete(sha256);
  }

  /** Brings what was missing. @throws {GatewayError}, {BytesGoneError} */
  async bringMissing(): Promise<void> {
    for (const sha256 of this.#missing) await this.#put(sha256);
    this.#missing = [];
  }

  /**
   * Brings the small ones of these that do not stay here; the gateway asks for a large one that it does not know.
   * @throws as above.
   */
  async bringSmall(artifacts: readonly ArtifactFrame[]): Promise<void> {
    for (const { sha256, sizeBytes, storeId } of artifacts) {
      if (sizeBytes <= SMALL_BYTES && storeId === undefined) await this.#put(sha256);
    }
  }

  async #put(sha256: string): Promise<void> {
    const { client, blobs, signal } = this.deps;
    if (this.#sent.has(sha256)) return;
    if (!(await blobs.touch(sha256))) throw new BytesGoneError(sha256);
    await client.putBlob(this.attempt, sha256, { path: blobs.path(sha256) }, signal);
    this.#sent.add(sha256);
  }
}
