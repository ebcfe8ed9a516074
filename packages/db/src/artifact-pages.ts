import { fromCursor, isIdOf, type Page, type PageRequest, type Scope, toPage } from "./pages.js";
import type { Db } from "./types.js";

/** Artifacts of a run, newest first. */
export async function listArtifacts(db: Db, runId: string, page: PageRequest): Promise<Page<ArtifactView>> {
  const before = page.cursor === null ? {} : { id: { lt: fromCursor(page.cursor, isIdOf("art")) } };
  const rows = await db.models.artifact.findMany({
    where: { runId, ...before },
    orderBy: { id: "desc" },
    take: page.limit + 1,
  });
  return toPage(rows, page, (row) => row.id, toView);
}

/** A file that an attempt left behind. */
export interface ArtifactView {
  readonly id: string;
  readonly runId: string;
  readonly attemptId: string;
  readonly stepKey: string;
  readonly attemptNo: number;
  readonly name: string;
  readonly mime: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly system: boolean;
  readonly createdAt: Date;
}

/** An artifact, where its project exists for the reader. */
export async function findArtifact(db: Db, scope: Scope, id: string): Promise<ArtifactView | null> {
  const row = await db.models.artifact.findFirst({
    where: { id, ...(scope === null ? {} : { run: { projectId: { in: [...scope] } } }) },
  });
  return row && toView(row);
}

type ArtifactRow = Omit<ArtifactView, "sizeBytes"> & { sizeBytes: bigint };

function toView(row: ArtifactRow): ArtifactView {
  const { id, runId, attemptId, stepKey, attemptNo, name, mime, sizeBytes, sha256, system, createdAt } = row;
  return {
    id,
    runId,
    attemptId,
    stepKey,
    attemptNo,
    name,
    mime,
    sizeBytes: Number(sizeBytes),
    sha256,
    system,
    createdAt,
  };
}

/** What the content of an input file is, where its project exists for the reader. */
export async function findInputFile(db: Db, scope: Scope, id: string) {
  const row = await db.models.inputFile.findFirst({
    where: { id, ...(scope === null ? {} : { job: { projectId: { in: [...scope] } } }) },
    select: { id: true, name: true, mime: true, sha256: true, sizeBytes: true, status: true },
  });
  return row && { ...row, sizeBytes: row.sizeBytes === null ? null : Number(row.sizeBytes) };
}
