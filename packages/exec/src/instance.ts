import { randomBytes } from "node:crypto";
import { lstat, lutimes, mkdir, readdir, readFile, readlink, realpath, rm, symlink } from "node:fs/promises";
import { findMarked, isRunning, processFacts, signal } from "./processes.js";

/** An owner that this process cannot see counts as gone when its sign of life is so old. */
const UNSEEN_OWNER_MS = 3_600_000;
const SIGN_OF_LIFE_MS = 600_000;
const ID = /^(x[0-9a-f]{18})(\.owner)?$/;
const STAGES = ["/run/maia", "/tmp/maia-stage"];

/** One executor's own folder below the root that executors share. */
export interface Instance extends AsyncDisposable {
  readonly id: string;
  readonly home: string;
  /** An open place to which the helper of a Maia that runs as root mounts what steps need, or null. */
  readonly stage: string | null;
}

interface Owner {
  readonly pid: number;
  readonly startedAt: string;
  readonly boot: string;
  readonly pidNamespace: string;
}

/** Opens a folder of its own, after all that dead executors left in the root, processes and folders, is cleared. */
export async function openInstance(root: string): Promise<Instance> {
  await mkdir(root, { recursive: true });
  const realRoot = await realpath(root);
  await clearLeftOvers(realRoot);
  const id = `x${randomBytes(9).toString("hex")}`;
  const home = `${realRoot}/${id}`;
  await symlink(JSON.stringify(await describeOwner()), ownerOf(home));
  await mkdir(home, { mode: 0o711 });
  const stage = process.getuid?.() === 0 ? await findStage() : null;
  const sign = setInterval(
    () => void lutimes(ownerOf(home), new Date(), new Date()).catch(() => undefined),
    SIGN_OF_LIFE_MS,
  );
  sign.unref();
  return {
    id,
    home,
    stage,
    [Symbol.asyncDispose]: async () => {
      clearInterval(sign);
      await clear(home, id);
    },
  };
}

/**
 * Says whose a folder is: a link whose target is the text, since a link is made whole or not at all. It is there before the
 * folder and goes after it, so a folder without one is nobody's.
 */
function ownerOf(home: string): string {
  return `${home}.owner`;
}

/** Ends every process that carries the mark, and looks again for those that were being born meanwhile. */
export function endMarked(mark: string): void {
  for (let round = 0; round < 20; round++) {
    const found = findMarked([mark]).filter((pid) => isRunning(pid));
    if (found.length === 0) return;
    for (const pid of found) signal(pid, "SIGKILL");
  }
}

async function clearLeftOvers(root: string): Promise<void> {
  const ids = new Set((await readdir(root)).flatMap((name) => ID.exec(name)?.[1] ?? []));
  for (const id of ids) if (!(await isOwnerAlive(`${root}/${id}`))) await clear(`${root}/${id}`, id);
}

async function clear(home: string, id: string): Promise<void> {
  endMarked(id);
  const isGone = await rm(home, { recursive: true, force: true, maxRetries: 3 }).then(
    () => true,
    () => false,
  );
  if (isGone) await rm(ownerOf(home), { force: true });
}

/** True while the executor lives whose folder that is. */
export async function isOwnerAlive(home: string): Promise<boolean> {
  const [owner, here] = [await readOwner(home), await describeOwner()];
  if (owner === null) return false;
  if (owner.boot !== here.boot) return false;
  if (owner.pidNamespace === here.pidNamespace) return isRunning(owner.pid, owner.startedAt);
  const sign = await lstat(ownerOf(home)).catch(() => null); // it has just ended
  return sign !== null && Date.now() - sign.mtimeMs < UNSEEN_OWNER_MS;
}

/** Null: it has none, or somebody else has put something there. */
async function readOwner(home: string): Promise<Owner | null> {
  try {
    return JSON.parse(await readlink(ownerOf(home))) as Owner;
  } catch {
    return null;
  }
}

async function describeOwner(): Promise<Owner> {
  return {
    pid: process.pid,
    startedAt: processFacts(process.pid)?.startedAt ?? "",
    boot: (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim(),
    pidNamespace: await readlink("/proc/self/ns/pid"),
  };
}

/** The place is shared: each helper covers it with mounts that it alone sees. */
async function findStage(): Promise<string | null> {
  for (const folder of STAGES) {
    try {
      await mkdir(folder, { mode: 0o711, recursive: true });
      const { uid, mode } = await lstat(folder);
      if (uid === 0 && (mode & 0o40022) === 0o40000) return folder;
    } catch {
      // The next place may do.
    }
  }
  return null;
}
