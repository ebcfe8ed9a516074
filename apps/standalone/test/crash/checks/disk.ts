import { createHash } from "node:crypto";
import { lstat, readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import Database from "better-sqlite3";
import { blobFolders, workFolders } from "../folders.ts";
import type { Trial } from "../trial.ts";

/** Every file that is kept is whole, and every one that a row names is there (F15, G18). The parts have ended. */
export async function checkDisk(trial: Trial): Promise<void> {
  for (const folder of blobFolders(trial.maia)) await checkBlobs(trial, folder);
  checkDatabase(trial);
  await checkReferences(trial);
}

/** What interrupted writers left is gone once the parts have started anew: all was killed before `startedAt`. */
export async function checkLeftovers({ maia, violations }: Trial, startedAt: Date): Promise<void> {
  const { attempts, temps } = workFolders(maia);
  for (const folder of [attempts, ...temps]) {
    for (const name of await readdir(folder)) {
      const found = await lstat(path.join(folder, name)).catch(() => null); // it has just been moved to its place
      if (found && found.mtime < startedAt)
        violations.push(`F15 ${folder} still has ${name} of ${found.mtime.toJSON()}`);
    }
  }
}

async function checkBlobs({ violations }: Trial, blobs: string): Promise<void> {
  for (const folder of await readdir(blobs)) {
    for (const name of await readdir(path.join(blobs, folder))) {
      const bytes = await readFile(path.join(blobs, folder, name));
      if (createHash("sha256").update(bytes).digest("hex") !== folder + name)
        violations.push(`G18 the blob ${folder}${name} is not what its name says`);
    }
  }
}

function checkDatabase({ maia, violations }: Trial): void {
  const db = new Database(path.join(maia.dataDir, "maia.db"));
  const integrity = db.pragma("integrity_check", { simple: true });
  if (integrity !== "ok") violations.push(`G19 the database is damaged: ${integrity}`);
  const orphans = db.pragma("foreign_key_check") as unknown[];
  if (orphans.length > 0) violations.push(`G19 ${orphans.length} rows refer to none: ${JSON.stringify(orphans[0])}`);
  db.close();
}

/** Artifacts that a step has left, and files of jobs: their bytes are in the store, as many as the row says. */
async function checkReferences({ maia, violations }: Trial): Promise<void> {
  const db = new Database(path.join(maia.dataDir, "maia.db"));
  const text = `SELECT "sha256", "sizeBytes", "name" FROM "Artifact" WHERE NOT "system"
    UNION SELECT "sha256", "sizeBytes", "name" FROM "InputFile" WHERE "sha256" IS NOT NULL`;
  const rows = db.prepare(text).all() as { sha256: string; sizeBytes: number; name: string }[];
  db.close();
  for (const { sha256, sizeBytes, name } of rows) {
    const file = path.join(maia.dataDir, "blobs", sha256.slice(0, 2), sha256.slice(2));
    const size = await stat(file).then(
      (found) => found.size,
      () => null,
    );
    if (size !== sizeBytes) violations.push(`G18 ${name} has ${size} of ${sizeBytes} bytes in ${sha256}`);
  }
}
