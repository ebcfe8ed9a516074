import { chmod, cp, lchown, lstat, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";

const FILES_AT_ONCE = 16;

/** Moves a folder, to another file system too. */
export async function moveTree(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EXDEV") throw error;
    await cp(from, to, { recursive: true, verbatimSymlinks: true });
  }
}

/** Makes a tree Maia's own and read-only for others, and brings it to the disk. @returns its size in bytes */
export async function settleTree(root: string): Promise<number> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const paths = [root, ...entries.map((entry) => join(entry.parentPath, entry.name))];
  let sizeBytes = 0;
  for (let at = 0; at < paths.length; at += FILES_AT_ONCE) {
    const sizes = await Promise.all(paths.slice(at, at + FILES_AT_ONCE).map(settleEntry));
    sizeBytes += sizes.reduce((sum, size) => sum + size, 0);
  }
  return sizeBytes;
}

/** Links are left as they are, and never followed; what is neither a file nor a folder is no part of a package. */
async function settleEntry(path: string): Promise<number> {
  const entry = await lstat(path);
  if (process.getuid?.() === 0) await lchown(path, 0, 0);
  if (entry.isSymbolicLink()) return 0;
  if (!entry.isFile() && !entry.isDirectory()) {
    await rm(path, { force: true });
    return 0;
  }
  await chmod(path, entry.isDirectory() ? 0o755 : (entry.mode & 0o111) === 0 ? 0o444 : 0o555);
  await using file = await open(path, "r");
  await file.sync();
  return entry.blocks * 512;
}

export async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, "r");
  await folder.sync();
}
