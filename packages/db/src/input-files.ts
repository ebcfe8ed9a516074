import { type InputFileStatus, inputFileMoves, inputFilePath } from "@maia/domain";
import type { KeptBy } from "./artifacts.js";
import { type KeptBlob, keepBlob, noteContent } from "./blobs.js";
import { type OwnedRun, setInitialInput } from "./runs.js";
import { noteStoredAfar } from "./stored-afar.js";
import type { Db, Tx } from "./types.js";

/** A file in `initialInput.files`; `path` is relative to the run directory, null until the bytes are here. */
export interface InitialFile {
  readonly id: string;
  readonly name: string;
  readonly source: string;
  readonly status: string;
  readonly path: string | null;
  readonly sha256: string | null;
  readonly mime: string | null;
  readonly sizeBytes: number | null;
  readonly url?: string;
  readonly error?: string;
}

/** A file that is to be downloaded. */
export interface FetchingFile {
  readonly id: string;
  readonly url: string;
  readonly name: string;
  readonly position: number;
}

/** A job's files as its steps see them. */
export async function initialFiles(tx: Pick<Tx, "sql">, jobId: string): Promise<InitialFile[]> {
  const rows = await tx.sql.all<
    Omit<InitialFile, "path" | "url" | "error"> & { url: string | null; error: string | null; position: number }
  >(
    `SELECT "id", "name", "source", "status", "sha256", "mime", "sizeBytes", "url", "error", "position" FROM "InputFile" WHERE "jobRunId" = ? ORDER BY "position"`,
    jobId,
  );
  return rows.map(({ id, name, source, status, sha256, mime, sizeBytes, url, error, position }) => {
    const path = status === "READY" ? inputFilePath(position, name) : null;
    const more = { ...(url === null ? {} : { url }), ...(error === null ? {} : { error }) };
    return { id, name, source, status, path, sha256, mime, sizeBytes, ...more };
  });
}

/** A file that nobody has brought yet; undefined once it is READY or FAILED. */
export async function findFetchingFile(db: Db, fileId: string): Promise<FetchingFile | undefined> {
  const text = `SELECT "id", coalesce("url", '') AS "url", "name", "position" FROM "InputFile" WHERE "id" = ? AND "status" = 'FETCHING'`;
  return db.sql.get(text, fileId);
}

/**
 * Writes what became of a download, and mirrors it into the run's input. Nothing happens when the run is no longer ours
 * or waits for no files any more.
 */
export async function settleInputFile(
  tx: Tx,
  run: OwnedRun,
  file: FetchingFile,
  outcome: { readonly blob: KeptBlob & { readonly keptBy?: KeptBy } } | { readonly error: string },
  now: Date,
): Promise<void> {
  if (!(await isAwaited(tx, run))) return;
  const blob = "blob" in outcome ? outcome.blob : null;
  const error = "error" in outcome ? outcome.error : null;
  if (blob?.keptBy) await noteContent(tx, blob, now);
  else if (blob) await keepBlob(tx, blob, run.projectId, now);
  const { from, to } = inputFileMoves[blob ? "fetched" : "fetchFailed"];
  const changed = await tx.sql.run(
    `UPDATE "InputFile" SET "status" = ?, "sha256" = ?, "sizeBytes" = ?, "mime" = ?, "path" = ?, "error" = ? WHERE "id" = ? AND "status" = ?`,
    to,
    blob?.sha256 ?? null,
    blob?.sizeBytes ?? null,
    blob?.mime ?? null,
    blob && inputFilePath(file.position, file.name),
    error,
    file.id,
    from[0],
  );
  if (changed === 0) return;
  if (blob?.keptBy) await noteStoredAfar(tx, file.id, { ...blob.keptBy, ...blob });
  await mirror(tx, run);
  const facts = { sha256: blob?.sha256 ?? null, sizeBytes: blob?.sizeBytes ?? null, error };
  await tellInputFile(tx, run, file, to, facts, now);
}

/** Tells how far a download has come. */
export async function tellInputProgress(
  tx: Tx,
  run: OwnedRun,
  file: FetchingFile,
  progress: { readonly receivedBytes: number; readonly totalBytes: number | null },
  now: Date,
): Promise<void> {
  if (await isAwaited(tx, run)) await tellInputFile(tx, run, file, "FETCHING", progress, now);
}

/** Gives up the files that a run still waits for. Called while it is PENDING_INPUTS, before it ends. */
export async function abandonInputFiles(tx: Tx, run: OwnedRun, reason: string, now: Date): Promise<void> {
  if (!(await isAwaited(tx, run))) return;
  const files = await tx.sql.all<FetchingFile>(
    `SELECT "id", "url", "name", "position" FROM "InputFile" WHERE "jobRunId" = ? AND "status" = 'FETCHING'`,
    run.jobId,
  );
  for (const file of files) {
    const { to } = inputFileMoves.fetchFailed;
    await tx.sql.run(`UPDATE "InputFile" SET "status" = ?, "error" = ? WHERE "id" = ?`, to, reason, file.id);
    await tellInputFile(tx, run, file, to, { error: reason }, now);
  }
  if (files.length > 0) await mirror(tx, run);
}

async function isAwaited(tx: Tx, run: OwnedRun): Promise<boolean> {
  const text = `SELECT 1 AS "one" FROM "Run" WHERE "id" = ? AND "ownerEpoch" = ? AND "status" = 'PENDING_INPUTS'`;
  return (await tx.sql.get(text, run.id, run.epoch)) !== undefined;
}

/** Writes the files as they are now into the run's input. */
async function mirror(tx: Tx, run: OwnedRun): Promise<void> {
  const row = await tx.sql.get<{ initialInput: string }>(`SELECT "initialInput" FROM "Run" WHERE "id" = ?`, run.id);
  const files = await initialFiles(tx, run.jobId);
  await setInitialInput(tx, run, JSON.stringify({ ...JSON.parse(row?.initialInput ?? "{}"), files }));
}

async function tellInputFile(
  tx: Tx,
  run: OwnedRun,
  { id, name }: FetchingFile,
  status: InputFileStatus,
  facts: object,
  now: Date,
): Promise<void> {
  const data = { runId: run.id, fileId: id, name, status, at: now.toISOString(), ...facts };
  await tx.event("input_file_status", { runId: run.id, projectId: run.projectId }, data);
}
