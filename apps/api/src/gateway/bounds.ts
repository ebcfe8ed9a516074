import { type ArtifactTotals, artifactTotals, type Sql } from "@maia/db";
import { MaiaError } from "@maia/domain";
import { type ArtifactFrame, type Frame, ProtocolError } from "@maia/runner-protocol";
import type { Constants } from "@maia/service";

/** What an attempt may leave behind. Its runner was told so with the task; here it is seen to. */
export type ArtifactLimits = Pick<Constants, "artifactsMax" | "artifactMax">;

/**
 * Refuses artifacts above what an attempt may leave. `frames` are those that are not recorded yet.
 * @throws {ProtocolError}
 */
export async function requireRoom(
  sql: Sql,
  attemptId: string,
  frames: readonly Frame[],
  { artifactsMax, artifactMax }: ArtifactLimits,
): Promise<void> {
  const artifacts = frames.filter((frame): frame is ArtifactFrame => frame.type === "artifact");
  if (artifacts.length === 0) return;
  const { count, bytes } = await artifactTotals(sql, attemptId);
  if (count + artifacts.length > artifactsMax)
    throw new ProtocolError("bad_frame", `an attempt may leave ${artifactsMax} artifacts`, "name");
  if (artifacts.reduce((sum, { sizeBytes }) => sum + sizeBytes, bytes) > artifactMax)
    throw new ProtocolError("bad_frame", `the artifacts of an attempt may have ${artifactMax} bytes`, "sizeBytes");
}

/** So many attempts are remembered; the oldest are forgotten first. */
const REMEMBERED = 10_000;

/** What attempts have sent as artifacts that was not known before, in this process. Bytes that no frame names are counted too. */
export class SentBytes {
  readonly #totals = new Map<string, ArtifactTotals>();

  /**
   * Sets room aside for bytes that are about to come; without their number, all that is left.
   * @returns how many may come @throws {MaiaError} TOO_LARGE
   */
  reserve(attemptId: string, sizeBytes: number | null, { artifactsMax, artifactMax }: ArtifactLimits): number {
    const { count, bytes } = this.#totals.get(attemptId) ?? { count: 0, bytes: 0 };
    const wanted = sizeBytes ?? artifactMax - bytes;
    if (count >= artifactsMax) throw new MaiaError("TOO_LARGE", `An attempt may leave ${artifactsMax} artifacts`);
    if (bytes + wanted > artifactMax || (sizeBytes === null && wanted === 0))
      throw new MaiaError("TOO_LARGE", `The artifacts of an attempt may have ${artifactMax} bytes`);
    this.#set(attemptId, { count: count + 1, bytes: bytes + wanted });
    return wanted;
  }

  /** Says what has come of what was reserved; null: nothing that was not known. */
  settle(attemptId: string, reserved: number, sizeBytes: number | null): void {
    const totals = this.#totals.get(attemptId);
    if (!totals) return;
    const count = totals.count - (sizeBytes === null ? 1 : 0);
    this.#set(attemptId, { count, bytes: totals.bytes - reserved + (sizeBytes ?? 0) });
  }

  #set(attemptId: string, totals: ArtifactTotals): void {
    this.#totals.set(attemptId, totals);
    if (this.#totals.size > REMEMBERED) this.#totals.delete(this.#totals.keys().next().value!);
  }
}
