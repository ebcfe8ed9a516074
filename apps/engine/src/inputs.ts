import { type Db, type OwnedRun, setInitialInput, type Tx, toDbTime } from "@maia/db";
import { type InputFileMove, inputFileMoves, inputFilePath } from "@maia/domain";
import { initialFiles } from "./claim.js";

/** Brings the bytes behind a URL into the blob store. @throws with a reason that a user can act on. */
export type InputFetcher = (
  url: string,
  signal: AbortSignal,
) => Promise<{ sha256: string; sizeBytes: number; mime: string }>;

/** Writes what became of a download, together with the run's `initialInput`. */
export type SettleInput = (tx: Tx, now: Date) => Promise<void>;

/** Downloads one input file of a run. Null: it is not FETCHING any more, or the engine is stopping. */
export async function fetchInput(
  fetcher: InputFetcher,
  db: Db,
  run: OwnedRun,
  fileId: string,
  signal: AbortSignal,
): Promise<SettleInput | null> {
  const file = await db.sql.get<{ url: string | null; name: string; position: number }>(
    `SELECT "url", "name", "position" FROM "InputFile" WHERE "id" = ? AND "status" = 'FETCHING'`,
    fileId,
  );
  if (!file) return null;
  try {
    const blob = await fetcher(file.url ?? "", signal);
    return (tx, now) =>
      settle(tx, run, fileId, "fetched", { ...blob, path: inputFilePath(file.position, file.name) }, null, now);
  } catch (error) {
    if (signal.aborted) return null;
    const reason = `${file.url}: ${error instanceof Error ? error.message : String(error)}`;
    return (tx, now) => settle(tx, run, fileId, "fetchFailed", null, reason, now);
  }
}

async function settle(
  tx: Tx,
  run: OwnedRun,
  fileId: string,
  name: InputFileMove,
  blob: { sha256: string; sizeBytes: number; mime: string; path: string } | null,
  error: string | null,
  now: Date,
): Promise<void> {
  const { from, to } = inputFileMoves[name];
  const at = toDbTime(now);
  const row = await tx.sql.get<{ initialInput: string }>(
    `SELECT "initialInput" FROM "Run" WHERE "id" = ? AND "ownerEpoch" = ? AND "status" = 'PENDING_INPUTS'`,
    run.id,
    run.epoch,
  );
  if (!row) return;
  if (blob) {
    await tx.sql.run(
      `INSERT INTO "InputBlob" ("sha256", "sizeBytes", "mime", "createdAt", "usedAt") VALUES (?, ?, ?, ?, ?)
       ON CONFLICT ("sha256") DO UPDATE SET "usedAt" = excluded."usedAt"`,
      blob.sha256,
      blob.sizeBytes,
      blob.mime,
      at,
      at,
    );
  }
  const changed = await tx.sql.run(
    `UPDATE "InputFile" SET "status" = ?, "sha256" = ?, "sizeBytes" = ?, "mime" = ?, "path" = ?, "error" = ? WHERE "id" = ? AND "status" = ?`,
    to,
    blob?.sha256 ?? null,
    blob?.sizeBytes ?? null,
    blob?.mime ?? null,
    blob?.path ?? null,
    error,
    fileId,
    from[0],
  );
  if (changed === 0) return;
  const files = await initialFiles(tx, run.jobId);
  await setInitialInput(tx, run, JSON.stringify({ ...JSON.parse(row.initialInput), files }));
  const fileName = files.find((file) => file.id === fileId)?.name ?? "";
  const data = {
    runId: run.id,
    fileId,
    name: fileName,
    status: to,
    at: now.toISOString(),
    sha256: blob?.sha256 ?? null,
    sizeBytes: blob?.sizeBytes ?? null,
    error,
  };
  await tx.event("input_file_status", { runId: run.id, projectId: run.projectId }, data);
}
