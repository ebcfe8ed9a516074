import { fromCursor, isIdOf, type Page, type PageRequest, type Scope, toPage } from "./pages.js";
import { containing } from "./text-match.js";
import type { Db, Tx } from "./types.js";

/** A workflow as readers see it. JSON stays text. */
export interface WorkflowView {
  readonly id: string;
  readonly projectId: string;
  readonly project: string;
  readonly slug: string;
  readonly description: string;
  readonly draft: string;
  readonly draftHash: string;
  readonly latestVersion: number | null;
  /** The latest version's snapHash. */
  readonly latestHash: string | null;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

export interface VersionView {
  readonly version: number;
  readonly workflowSnap: string;
  readonly snapHash: string;
  readonly depsHash: string | null;
  readonly message: string;
  readonly createdAt: Date;
  readonly createdBy: string | null;
}

/** The workflows with these ids, in that order. */
export async function viewsOf(db: Db, ids: readonly string[]): Promise<WorkflowView[]> {
  const rows = await db.models.workflow.findMany({ where: { id: { in: [...ids] } }, include: related });
  const hashes = await latestHashes(db, rows);
  const views = new Map(rows.map((row) => [row.id, toView(row, hashes)]));
  return ids.flatMap((id) => views.get(id) ?? []);
}

/**
 * A workflow that is not deleted, by its id or by its slug in a project. An id counts in the whole scope.
 * A slug holds no `_`, so the two cannot be taken for each other.
 */
export async function findWorkflow(
  db: Db,
  scope: Scope,
  { ref, projectId }: { readonly ref: string; readonly projectId: string },
): Promise<WorkflowView | null> {
  const where = { ...namedBy(scope, ref, projectId), deletedAt: null };
  const row = await db.models.workflow.findFirst({ where, include: related });
  return row && toView(row, await latestHashes(db, [row]));
}

/** The same for one that may be deleted, whose jobs are still there: its id. */
export async function findWorkflowId(
  db: Db,
  scope: Scope,
  { ref, projectId }: { readonly ref: string; readonly projectId: string },
): Promise<string | null> {
  const row = await db.models.workflow.findFirst({ where: namedBy(scope, ref, projectId), select: { id: true } });
  return row?.id ?? null;
}

/** Versions of a workflow, newest first, without their snapshots; with `q` those whose message holds it, in any case. */
export async function listVersions(
  db: Db,
  workflowId: string,
  page: PageRequest,
  q?: string,
): Promise<Page<Omit<VersionView, "workflowSnap">>> {
  const before = page.cursor === null ? MOST : Number(fromCursor(page.cursor, /^\d{1,9}$/));
  const found = await db.sql.all<{ version: number }>(
    `SELECT "version" FROM "WorkflowVersion" WHERE "workflowId" = ? AND "version" < ? AND lower("message") LIKE ? ESCAPE '\\'
     ORDER BY "version" DESC LIMIT ?`,
    workflowId,
    before,
    containing(q ?? ""),
    page.limit + 1,
  );
  const rows = await db.models.workflowVersion.findMany({
    where: { workflowId, version: { in: found.map(({ version }) => version) } },
    orderBy: { version: "desc" },
    omit: { workflowSnap: true, depsLock: true },
  });
  return toPage(
    rows,
    page,
    (row) => row.version,
    (row) => row,
  );
}

/** A version of a workflow with its snapshot. */
export async function findVersion(db: Db, workflowId: string, version: number): Promise<VersionView | null> {
  return db.models.workflowVersion.findFirst({ where: { workflowId, version }, omit: { depsLock: true } });
}

/**
 * Deletes a workflow: it is found no more, and its versions stay for the runs that have them.
 * False: it changed since `draftHash`, or was deleted already.
 */
export async function deleteWorkflow(
  tx: Tx,
  { id, draftHash }: { id: string; draftHash: string },
  now: Date,
): Promise<boolean> {
  const { count } = await tx.models.workflow.updateMany({
    where: { id, draftHash, deletedAt: null },
    data: { deletedAt: now },
  });
  return count === 1;
}

/** Above every version. */
const MOST = 1_000_000_001;

const related = { project: { select: { name: true } } } as const;

function namedBy(scope: Scope, ref: string, projectId: string) {
  return isIdOf("wf").test(ref) ? { id: ref, ...inProjects(scope) } : { slug: ref, projectId };
}

function inProjects(projects: Scope): { projectId?: { in: string[] } } {
  return projects === null ? {} : { projectId: { in: [...projects] } };
}

type WorkflowRow = Omit<WorkflowView, "project" | "latestHash"> & { readonly project: { readonly name: string } };

/** The hash of each workflow's latest version, which need not be its newest one. */
async function latestHashes(db: Db, rows: readonly WorkflowRow[]): Promise<ReadonlyMap<string, string>> {
  const which = rows.flatMap(({ id, latestVersion }) =>
    latestVersion === null ? [] : [{ workflowId: id, version: latestVersion }],
  );
  if (which.length === 0) return new Map();
  const versions = await db.models.workflowVersion.findMany({
    where: { OR: which },
    select: { workflowId: true, snapHash: true },
  });
  return new Map(versions.map(({ workflowId, snapHash }) => [workflowId, snapHash]));
}

function toView(row: WorkflowRow, hashes: ReadonlyMap<string, string>): WorkflowView {
  const { id, projectId, project, slug, description, draft, draftHash, latestVersion, createdAt, updatedAt } = row;
  const latestHash = hashes.get(id) ?? null;
  return {
    id,
    projectId,
    project: project.name,
    slug,
    description,
    draft,
    draftHash,
    latestVersion,
    latestHash,
    createdAt,
    updatedAt,
  };
}
