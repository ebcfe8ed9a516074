import { randomBytes } from "node:crypto";
import { existsSync, utimesSync } from "node:fs";
import { chmod, cp, lchown, lstat, mkdir, open, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Others may pass through to a set whose name they know, but not look. */
const PASSABLE = 0o711;
const FILES_AT_ONCE = 16;

/** One set of installed packages, in use. */
export interface SetInUse {
  readonly key: string;
  /** Lets go of the set; again does nothing. */
  readonly release: () => void;
}

/**
 * The sets of installed packages on this host. A set is complete or absent: it is made elsewhere and renamed into place.
 * For each there is a mark, whose time says when the set was used last.
 */
export class DepsStore {
  private readonly uses = new Map<string, number>();

  private constructor(
    private readonly root: string,
    private readonly cacheBytes: number,
    private readonly id: string,
  ) {}

  static async open(root: string, cacheBytes: number): Promise<DepsStore> {
    const store = new DepsStore(root, cacheBytes, randomBytes(6).toString("hex"));
    for (const folder of [root, store.sets]) await mkdir(folder, { recursive: true, mode: PASSABLE });
    for (const folder of [root, store.sets]) await chmod(folder, PASSABLE);
    for (const folder of [store.marks, store.moving]) await mkdir(folder, { recursive: true, mode: 0o700 });
    return store;
  }

  /** The folder whose subfolders are the sets. */
  get sets(): string {
    return join(this.root, "sets");
  }

  private get marks(): string {
    return join(this.root, "marks");
  }

  private get moving(): string {
    return join(this.root, "moving");
  }

  /** Takes a set in use; null: it is not here. */
  use(key: string): SetInUse | null {
    const count = this.uses.get(key) ?? 0;
    if (count === 0) {
      if (!existsSync(join(this.sets, key))) return null;
      touch(join(this.marks, key));
    }
    this.uses.set(key, count + 1);
    let isReleased = false;
    const release = (): void => {
      if (isReleased) return;
      isReleased = true;
      const left = this.uses.get(key)! - 1;
      if (left > 0) this.uses.set(key, left);
      else this.uses.delete(key);
    };
    return { key, release };
  }

  /** Puts a tree that an installation has built into its place. A twin that was faster wins: it is the same. */
  async keep(key: string, built: string): Promise<void> {
    const own = join(this.moving, `${this.id}-${randomBytes(6).toString("hex")}`);
    await moveTo(built, own);
    try {
      const sizeBytes = await settle(own, process.getuid?.() === 0);
      await writeFile(join(this.marks, key), JSON.stringify({ sizeBytes }), { flush: true });
      await rename(own, join(this.sets, key)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
      });
      await syncFolder(this.sets);
    } finally {
      await rm(own, { recursive: true, force: true });
    }
  }
}

function touch(file: string): void {
  const now = new Date();
  try {
    utimesSync(file, now, now);
  } catch {
    // Without a mark, the set counts as old.
  }
}

async function moveTo(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EXDEV") throw error;
    await cp(from, to, { recursive: true, verbatimSymlinks: true });
  }
}

/** Makes a tree Maia's own and read-only for others, and brings it to the disk. @returns its size in bytes */
async function settle(root: string, isRoot: boolean): Promise<number> {
  let sizeBytes = 0;
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const paths = [root, ...entries.map((entry) => join(entry.parentPath, entry.name))];
  const settleOne = async (path: string): Promise<void> => {
    const stat = await lstat(path);
    if (isRoot) await lchown(path, 0, 0);
    if (stat.isSymbolicLink()) return;
    if (!stat.isFile() && !stat.isDirectory()) return rm(path, { force: true });
    await chmod(path, stat.isDirectory() ? 0o755 : (stat.mode & 0o111) === 0 ? 0o444 : 0o555);
    await using file = await open(path, "r");
    await file.sync();
    sizeBytes += stat.blocks * 512;
  };
  for (let at = 0; at < paths.length; at += FILES_AT_ONCE)
    await Promise.all(paths.slice(at, at + FILES_AT_ONCE).map(settleOne));
  return sizeBytes;
}

async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, "r");
  await folder.sync();
}
