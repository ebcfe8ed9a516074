import { findWholeVersion, insertVersion, setLatest, type Tx } from "@maia/db";
import { MaiaError, storedSnapshot, VERSION_MESSAGE_MAX } from "@maia/domain";

export interface Promoted {
  /** The version that jobs get from now on. */
  readonly version: number;
  /** True: there is a version more, with the content of the one that was named. */
  readonly made: boolean;
  readonly published: boolean;
}

/**
 * Makes an earlier version what jobs get: history only grows, so its content comes back as a new version, its lock with
 * it. A version that was never the latest becomes it itself. The draft follows, unless it has changes of its own.
 * @throws {MaiaError} NOT_FOUND
 */
export async function promoteVersion(
  tx: Tx,
  workflowId: string,
  number: number,
  { message, principal }: { readonly message: string; readonly principal: string },
  now: Date,
): Promise<Promoted> {
  const version = await findWholeVersion(tx.sql, workflowId, number);
  const workflow = await tx.models.workflow.findFirst({ where: { id: workflowId, deletedAt: null } });
  if (!version || !workflow) throw new MaiaError("NOT_FOUND", "There is no such version");
  const latest = workflow.latestVersion;
  if (latest === number) return { version: number, made: false, published: false };
  const before = latest === null ? undefined : await findWholeVersion(tx.sql, workflowId, latest);
  const isNewer = latest === null || number > latest;
  const said =
    message || `Restored from v${number}${version.message && `: ${version.message}`}`.slice(0, VERSION_MESSAGE_MAX);
  const next = isNewer ? number : await insertVersion(tx, { ...version, message: said, createdBy: principal }, now);
  await setLatest(tx, workflowId, next);
  if (before?.snapHash === workflow.draftHash) {
    const { workflowSnap, snapHash } = version;
    const { description } = storedSnapshot(workflowSnap);
    const data = { draft: workflowSnap, draftHash: snapHash, description, updatedAt: now };
    await tx.models.workflow.update({ where: { id: workflowId }, data });
  }
  return { version: next, made: !isNewer, published: true };
}
