import { findTwin, insertVersion, setLatest, setVersionMessage, type Tx, toDbTime } from "@maia/db";
import { MaiaError, newId } from "@maia/domain";
import type { Frozen } from "./freeze.js";
import { thaw } from "./freeze.js";

/**
 * What becomes of a definition: only the draft; a version that jobs get; or a version that only those jobs get which
 * name it, and that leaves the draft alone.
 */
export type Publishing = "draft" | "latest" | "aside";

export interface StoreRequest {
  readonly projectId: string;
  readonly slug: string;
  readonly publishing: Publishing;
  readonly message: string;
  readonly principal: string;
  /** Refuses when it says no to the definition that is there, or to there being none. */
  readonly guard?: (current: { readonly draftHash: string } | null) => void;
}

export interface Published {
  readonly workflowId: string;
  /** The version that has the content; for a draft the latest one, null while nothing is published. */
  readonly version: number | null;
  readonly snapHash: string;
  /** True: the workflow did not exist before, or had been deleted. */
  readonly created: boolean;
  /** True: the workflow had been deleted, and is back with its versions. */
  readonly restored: boolean;
  /** True: jobs get another version from now on. */
  readonly published: boolean;
  /** True: there is a version more. */
  readonly made: boolean;
  /** True: the draft is another one than before. */
  readonly saved: boolean;
}

interface Current {
  readonly id: string;
  readonly draft: string;
  readonly draftHash: string;
  readonly latestVersion: number | null;
  readonly deletedAt: string | null;
}

/**
 * Stores a definition, and makes a version of it unless there is one already.
 * @param definition null takes the draft as it stands.
 * @throws {MaiaError} NOT_FOUND where there is no workflow and no definition to make one from.
 */
export async function storeWorkflow(
  tx: Tx,
  request: StoreRequest,
  definition: Frozen | null,
  now: Date,
): Promise<Published> {
  const current = await findCurrent(tx, request);
  const isThere = current !== undefined && current.deletedAt === null;
  request.guard?.(isThere ? current : null);
  if (!isThere && definition === null) throw new MaiaError("NOT_FOUND", "There is no such workflow");
  const frozen = definition ?? thaw(current!.draft);
  const isAside = request.publishing === "aside" && isThere;
  const workflowId = isAside ? current.id : await saveDraft(tx, request, current, frozen, now);
  const latest = current?.latestVersion ?? null;
  const saved = !isAside && (!isThere || current.draftHash !== frozen.snapHash);
  const restored = current !== undefined && !isThere;
  const about = { workflowId, snapHash: frozen.snapHash, created: !isThere, restored, saved };
  if (request.publishing === "draft") return { ...about, version: latest, published: false, made: false };

  // What was tried aside becomes the latest itself, and what is the latest stays it.
  const twin = await findTwin(tx.sql, { ...frozen, workflowId }, request.publishing === "latest" ? (latest ?? 1) : 1);
  const version = twin ?? (await makeVersion(tx, workflowId, request, frozen, now));
  const published = request.publishing === "latest" && version !== latest;
  if (published) await setLatest(tx, workflowId, version);
  if (published && twin !== null && request.message) await setVersionMessage(tx, workflowId, version, request.message);
  return { ...about, version, published, made: twin === null };
}

function makeVersion(
  tx: Tx,
  workflowId: string,
  { message, principal }: StoreRequest,
  { text, snapHash, depsHash, depsLock, message: own }: Frozen,
  now: Date,
): Promise<number> {
  const version = { workflowId, workflowSnap: text, snapHash, depsHash, depsLock };
  return insertVersion(tx, { ...version, message: message || own, createdBy: principal }, now);
}

function findCurrent(tx: Tx, { projectId, slug }: StoreRequest): Promise<Current | undefined> {
  const text = `SELECT "id", "draft", "draftHash", "latestVersion", "deletedAt" FROM "Workflow" WHERE "projectId" = ? AND "slug" = ?`;
  return tx.sql.get(text, projectId, slug);
}

/** A deleted workflow comes back with its versions when its name is used again. */
async function saveDraft(
  tx: Tx,
  { projectId, slug }: StoreRequest,
  current: Current | undefined,
  { snapshot: { description }, text, snapHash }: Frozen,
  now: Date,
): Promise<string> {
  const at = toDbTime(now);
  if (current) {
    const update = `UPDATE "Workflow" SET "description" = ?, "draft" = ?, "draftHash" = ?, "updatedAt" = ?, "deletedAt" = NULL WHERE "id" = ?`;
    if (current.draftHash !== snapHash || current.deletedAt !== null)
      await tx.sql.run(update, description, text, snapHash, at, current.id);
    return current.id;
  }
  const id = newId("workflow", now);
  await tx.sql.run(
    `INSERT INTO "Workflow" ("id", "projectId", "slug", "description", "draft", "draftHash", "createdAt", "updatedAt") VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    id,
    projectId,
    slug,
    description,
    text,
    snapHash,
    at,
    at,
  );
  return id;
}
