import { randomBytes } from "node:crypto";
import { link, open, rm, stat, statfs } from "node:fs/promises";
import path from "node:path";
import Database from "better-sqlite3";
import { codeOf, DbRefusal } from "../errors.js";

/** File systems whose locks or mapped memory SQLite cannot trust, by the type that Linux's statfs gives. */
const remoteFileSystems: ReadonlyMap<number, string> = new Map([
  [0x6969, "NFS"],
  [0x517b, "SMB"],
  [0xff534d42, "CIFS"],
  [0xfe534d42, "SMB2"],
  [0x01021997, "9p"],
  [0x65735546, "FUSE or virtiofs"],
  [0x00c36400, "Ceph"],
  [0x5346414f, "AFS"],
  [0x73757245, "Coda"],
  [0x0bd00bd0, "Lustre"],
  [0x19830326, "BeeGFS"],
  [0x47504653, "GPFS"],
  [0x786f4256, "a VirtualBox shared folder"],
]);

/** @throws {DbRefusal} where the folder is not on a local file system. */
export async function checkFileSystem(folder: string, refused = remoteFileSystems): Promise<void> {
  if (process.platform !== "linux") return;
  const { type } = await statfs(folder).catch((cause) => {
    throw new DbRefusal("DB_UNREACHABLE", `the folder ${folder} of the database cannot be read (${codeOf(cause)}).`, {
      cause,
    });
  });
  const name = refused.get(type >>> 0);
  if (name === undefined) return;
  throw new DbRefusal("DB_REMOTE_FS", `${folder} is on ${name}, where SQLite can lose data; choose a local disk.`);
}

/**
 * Makes the file, unless there is one. It appears under its name with its header written, so an empty file is never
 * ours, and of several processes that start at once each finds the same.
 * @throws {DbRefusal} where a damaged database is in the place.
 */
export async function ensureFile(file: string): Promise<void> {
  const sizeBytes = await sizeOf(file);
  if (sizeBytes === 0) {
    throw new DbRefusal("DB_CORRUPT", `${file} is empty; restore it from a backup, or remove it to start anew.`);
  }
  if (sizeBytes !== null) return;
  // The second look: another process may have made both meanwhile.
  if ((await sizeOf(`${file}-wal`)) && (await sizeOf(file)) === null) {
    throw new DbRefusal(
      "DB_CORRUPT",
      `${file} is missing but its ${path.basename(file)}-wal is here; restore the file, or remove both to start anew.`,
    );
  }
  const draft = `${file}.${randomBytes(6).toString("hex")}.new`;
  try {
    await createEmpty(draft);
    await link(draft, file);
    await syncFolder(path.dirname(file));
  } catch (cause) {
    if (codeOf(cause) === "EEXIST") return; // another process was faster
    throw new DbRefusal("DB_UNREACHABLE", `${file} cannot be created: ${(cause as Error).message}.`, { cause });
  } finally {
    for (const suffix of ["", "-wal", "-shm", "-journal"]) await rm(draft + suffix, { force: true });
  }
}

async function createEmpty(draft: string): Promise<void> {
  await (await open(draft, "wx", 0o600)).close(); // SQLite gives its other files the same mode
  const database = new Database(draft);
  try {
    database.pragma("auto_vacuum = INCREMENTAL"); // only before the first page is written
    database.pragma("journal_mode = WAL");
    database.pragma("synchronous = FULL");
  } finally {
    database.close();
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function sizeOf(file: string): Promise<number | null> {
  try {
    return (await stat(file)).size;
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return null;
    throw new DbRefusal("DB_UNREACHABLE", `${file} cannot be read (${codeOf(cause)}).`, { cause });
  }
}
