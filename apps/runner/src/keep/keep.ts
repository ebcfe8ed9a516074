import { randomBytes } from "node:crypto";
import { link, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Content, ExecutorError, type Task } from "@maia/runner-protocol";
import { ConfigError } from "@maia/service";
import { BlobStore } from "@maia/storage";

/**
 * The store in which a runner keeps files and artifacts whose bytes are not to leave it. All processes of a runner may
 * share one: a volume, or a folder of an object store that is mounted. Its id says which store it is, wherever it is mounted.
 */
export class Keep {
  private constructor(
    readonly storeId: string,
    readonly blobs: BlobStore,
    private readonly dir: string,
  ) {}

  /**
   * Opens the store in a folder, and makes it where it does not exist yet.
   * @param owner whose temporary files are whose, among those who share it.
   * @throws {ConfigError} where it cannot be used.
   */
  static async open(dir: string, owner: string): Promise<Keep> {
    try {
      const tmp = join(dir, "tmp", owner);
      await mkdir(tmp, { recursive: true, mode: 0o700 });
      const storeId = await idOf(dir, tmp);
      return new Keep(storeId, await BlobStore.open(join(dir, "blobs"), tmp), dir);
    } catch (error) {
      const { message } = error as Error;
      throw new ConfigError(`MAIA_RUNNER_KEEP_DIR is ${dir}: the runner cannot keep data there (${message})`);
    }
  }

  /** Removes what processes began to write that are long gone, whoever they were. */
  async dropAbandoned(now: Date): Promise<void> {
    const tmp = join(this.dir, "tmp");
    for (const name of await readdir(tmp, { recursive: true })) {
      const found = await stat(join(tmp, name)).catch(() => null); // another process may have finished it
      if (found?.isFile() && now.getTime() - found.mtimeMs > ABANDONED_MS) await rm(join(tmp, name), { force: true });
    }
  }
}

/** Nothing takes so long to be written. In milliseconds. */
const ABANDONED_MS = 7 * 86_400_000;

const STORE_ID = /^sto_[0-9a-f]{32}$/;

/** The id of the store, which the first process that opens it draws. */
async function idOf(dir: string, tmp: string): Promise<string> {
  const [path, mine] = [join(dir, "store-id"), join(tmp, "store-id")];
  const known = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
    return null;
  });
  if (known === null) {
    await rm(mine, { force: true });
    await writeFile(mine, `sto_${randomBytes(16).toString("hex")}\n`, { flush: true });
    await link(mine, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error; // another process was faster, and its id counts
    });
    await rm(mine, { force: true });
  }
  const id = (known ?? (await readFile(path, "utf8"))).trim();
  if (!STORE_ID.test(id)) throw new Error(`${path} does not hold the id of a store; put it back from a backup`);
  return id;
}

/** The hashes of a task's files that are in the store. */
export function keptOf({ files }: Task): Set<string> {
  return new Set(files.flatMap(({ kept, sha256 }) => (kept ? [sha256] : [])));
}

/**
 * Finds the files of a task that are in the store, once all are known to be there.
 * @throws {ExecutorError} REFUSED where the task names another store, or a file is not in it.
 */
export async function openKept(task: Task, keep: Keep | null): Promise<(sha256: string) => Content | null> {
  const kept = keptOf(task);
  if (task.keep === undefined && kept.size === 0) return () => null;
  if (keep === null || keep.storeId !== task.keep) {
    const has = keep === null ? "this runner keeps none" : `this runner has the store ${keep.storeId}`;
    throw new ExecutorError("REFUSED", `The run's data is kept in the store ${task.keep}, and ${has}`);
  }
  for (const { path, sha256 } of task.files) {
    if (!kept.has(sha256) || (await keep.blobs.has(sha256))) continue;
    throw new ExecutorError("REFUSED", `The file ${path} is not in the runner's store ${keep.storeId} any more`);
  }
  return (sha256) => (kept.has(sha256) ? { path: keep.blobs.path(sha256) } : null);
}
