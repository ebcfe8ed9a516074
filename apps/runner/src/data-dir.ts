import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { makeFolder } from "@maia/storage";

/** Where everything of a runner lies: absolute paths. */
export interface RunnerDir extends Disposable {
  readonly ledger: string;
  readonly spool: string;
  readonly blobs: string;
  /** Attempts whose end a gateway has not confirmed. */
  readonly unconfirmed: string;
  readonly tmp: string;
  /** For the executor's attempts. */
  readonly exec: string;
  /** For the executor's sets of packages. */
  readonly deps: string;
}

/**
 * Makes a runner's data directory where it does not exist yet, and locks it until disposed.
 * @throws {Error} when it cannot be used, or another runner uses it.
 */
export async function openRunnerDir(root: string): Promise<RunnerDir> {
  const at = (name: string) => join(root, name);
  const kept = { ledger: at("ledger"), spool: at("spool"), unconfirmed: at("unconfirmed") };
  const paths = { ...kept, blobs: at("blobs"), tmp: at("tmp") };
  const open = { exec: at("exec"), deps: at("deps") };
  try {
    // Others may pass through to the folders of steps that run as another user, but not look.
    for (const path of [root, ...Object.values(open)]) await makeFolder(path, 0o711);
    for (const path of Object.values(paths)) await makeFolder(path, 0o700);
  } catch (error) {
    throw unusable(root, (error as Error).message);
  }
  const lock = await lockFolder(root);
  return { ...paths, ...open, [Symbol.dispose]: () => lock[Symbol.dispose]() };
}

/**
 * Holds a folder for this process alone. SQLite takes the lock: the kernel gives it back when the process ends, however
 * it ends, and it holds across containers that share the folder.
 */
async function lockFolder(root: string): Promise<Disposable> {
  const owner = join(root, "owner");
  const path = join(root, "lock");
  let database: DatabaseSync | null = null;
  try {
    database = new DatabaseSync(path, { timeout: 0 });
    database.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
  } catch (error) {
    database?.close();
    if (!isTaken(error)) throw unusable(root, `${path}: ${(error as Error).message}`);
    const pid = await readFile(owner, "utf8").catch(() => "unknown");
    throw new Error(
      `Another runner (process ${pid.trim()}) uses the data directory ${root}; stop it, or set MAIA_RUNNER_DATA_DIR to another`,
      {
        cause: error,
      },
    );
  }
  const locked = database;
  try {
    await writeFile(owner, `${process.pid}\n`);
  } catch (error) {
    locked.close();
    throw unusable(root, (error as Error).message);
  }
  return { [Symbol.dispose]: () => locked.close() };
}

const SQLITE_BUSY = 5;

function isTaken(error: unknown): boolean {
  return (Number((error as { errcode?: unknown }).errcode) & 0xff) === SQLITE_BUSY;
}

function unusable(root: string, why: string): Error {
  return new Error(`The runner's data directory ${root} cannot be used: ${why}. Set MAIA_RUNNER_DATA_DIR to another`);
}
