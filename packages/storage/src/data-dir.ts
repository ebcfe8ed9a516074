import { open, rm, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { makeFolder } from "./make-folder.js";
import { tempName } from "./temp-files.js";

/** Where everything of a Maia lies: absolute paths. */
export interface DataDir {
  readonly root: string;
  readonly dbFile: string;
  readonly blobs: string;
  readonly runs: string;
  readonly deps: string;
  /** For files being written; on the same file system as the blobs, so that they can be renamed into place. */
  readonly tmp: string;
  readonly adminKey: string;
  /** For the unix sockets of the doorbells. */
  readonly bells: string;
  readonly secretKey: string;
  /** What access tokens are signed with. */
  readonly tokenKey: string;
  /** For a runner that shares this directory. The runner makes and locks it. */
  readonly runner: string;
  /** For the runners of the hosted pool: a folder for each of them. */
  readonly pool: string;
}

/** A data directory that cannot be used. The message names it and says why. */
export class DataDirError extends Error {
  override readonly name = "DataDirError";
}

const OWNER_ONLY = 0o700;
/** Others may pass through but not look: a step that runs as another user has its folder below. */
const PASSABLE = 0o711;

/** The paths below a root, without touching the disk. */
export function dataDirPaths(root: string): DataDir {
  const at = (name: string) => join(resolve(root), name);
  return {
    root: resolve(root),
    dbFile: at("maia.db"),
    blobs: at("blobs"),
    runs: at("runs"),
    deps: at("deps"),
    tmp: at("tmp"),
    adminKey: at("admin-key"),
    bells: at("bells"),
    secretKey: at("secret-key"),
    tokenKey: at("token-key"),
    runner: at("runner"),
    pool: at("pool"),
  };
}

/**
 * Makes the data directory where it does not exist yet, readable by its owner only, and makes sure that it can be written.
 * @throws {DataDirError} saying what is in the way.
 */
export async function openDataDir(root: string): Promise<DataDir> {
  const dir = dataDirPaths(root);
  try {
    for (const path of [dir.root, dir.runs]) await makeFolder(path, PASSABLE);
    for (const path of [dir.blobs, dir.deps, dir.tmp, dir.bells]) await makeFolder(path, OWNER_ONLY);
    await tryWriting(dir.tmp);
    return dir;
  } catch (error) {
    throw new DataDirError(`The data directory ${dir.root} cannot be used: ${await reason(error, dir)}`, {
      cause: error,
    });
  }
}

async function tryWriting(tmp: string): Promise<void> {
  const probe = join(tmp, tempName());
  const file = await open(probe, "wx", 0o600);
  await file.close();
  await rm(probe);
}

async function reason(error: unknown, { root }: DataDir): Promise<string> {
  switch ((error as NodeJS.ErrnoException).code) {
    case "EACCES":
    case "EPERM":
      return `user ${process.getuid?.() ?? "of this process"} may not write there. Change its owner, or set MAIA_DATA_DIR`;
    case "EROFS":
      return "it is on a read-only file system. Set MAIA_DATA_DIR to a folder that can be written";
    case "ENOSPC":
    case "EDQUOT":
      return "its disk is full. Make room, or set MAIA_DATA_DIR to another disk";
    case "EEXIST":
    case "ENOTDIR": {
      const isFolder = await stat(root).then(
        (found) => found.isDirectory(),
        () => false,
      );
      return isFolder ? "something in it that should be a folder is a file" : "it, or a folder above it, is a file";
    }
    case "ENOENT":
      return "its file system does not take new folders. Set MAIA_DATA_DIR to another place";
    default:
      return error instanceof Error ? error.message : String(error);
  }
}

/**
 * Refuses a data directory that was used before and whose database is gone: beginning anew in its place would look as if
 * everything had been lost without a word (F61). @throws {DataDirError}
 */
export async function refuseLostDatabase({ root, dbFile, adminKey }: DataDir): Promise<void> {
  const isThere = (path: string) =>
    stat(path).then(
      () => true,
      () => false,
    );
  if ((await isThere(dbFile)) || !(await isThere(adminKey))) return;
  throw new DataDirError(
    `The data directory ${root} was used before, but its maia.db is gone: put it back from a backup, or remove ${adminKey} to begin anew with an empty one`,
  );
}
