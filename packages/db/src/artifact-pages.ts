import { fromCursor, isIdOf, type Page, type PageRequest, type Scope, toPage } from "./pages.js";
import type { Db } from "./types.js";

/** Artifacts of a run, newest first; in a re-run also those of the steps whose results it reuses. */
export async function listArtifacts(db: Db, runId: string, page: PageRequest): Promise<Page<ArtifactView>> {
  const below = page.cursor === null ? BEYOND_IDS : fromCursor(page.cursor, isIdOf("art"));
  const ids = await db.sql.all<{ id: string }>(
    `SELECT "id" FROM "Artifact" WHERE "runId" = ? AND "id" < ?
     UNION ALL SELECT f."id" FROM "RunStep" s JOIN "Artifact" f ON f."attemptId" = s."reusedAttemptId" WHERE s."runId" = ? AND f."id" < ?
     ORDER BY "id" DESC LIMIT ?`,
    ...[runId, below, runId, below, page.limit + 1],
  );
  const rows = await db.models.artifact.findMany({
    where: { id: { in: ids.map(({ id }) => id) } },
    orderBy: { id: "desc" },
  });
  return toPage(rows, page, (row) => row.id, toView);
}

/** Sorts behind every id. */
const BEYOND_IDS = "~";

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
