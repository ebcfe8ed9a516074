import { randomBytes } from "node:crypto";
import { lstat, mkdir, readdir, readFile, readlink, realpath, rm, stat, utimes, writeFile } from "node:fs/promises";
import { findMarked, isRunning, processFacts, signal } from "./processes.js";

/** An owner that this process cannot see counts as gone when its sign of life is so old. */
const UNSEEN_OWNER_MS = 3_600_000;
const SIGN_OF_LIFE_MS = 600_000;
/** An executor says whose its folder is as soon as it has made it; one that has not by then never will. */
const BORN_WITHIN_MS = 60_000;
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
  await mkdir(home, { mode: 0o711 });
  const stage = process.getuid?.() === 0 ? await findStage() : null;
  await writeFile(`${home}/owner.json`, JSON.stringify(await describeOwner()));
  const sign = setInterval(
    () => void utimes(`${home}/owner.json`, new Date(), new Date()).catch(() => undefined),
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

/** Ends every process that carries the mark, and looks again for those that were being born meanwhile. */
export function endMarked(mark: string): void {
  for (let round = 0; round < 20; round++) {
    const found = findMarked([mark]).filter((pid) => isRunning(pid));
    if (found.length === 0) return;
    for (const pid of found) signal(pid, "SIGKILL");
  }
}

async function clearLeftOvers(root: string): Promise<void> {
  for (const name of await readdir(root)) {
    if (!/^x[0-9a-f]{18}$/.test(name)) continue;
    const home = `${root}/${name}`;
    const owner = await readOwner(home);
    if (owner === "alive" || (owner === null && (await isYoung(home)))) continue;
    await clear(home, name);
  }
}

async function isYoung(home: string): Promise<boolean> {
  const made = await stat(home).catch(() => null); // somebody else has cleared it
  return made !== null && Date.now() - made.mtimeMs < BORN_WITHIN_MS;
}

async function clear(home: string, id: string): Promise<void> {
  endMarked(id);
  await rm(home, { recursive: true, force: true, maxRetries: 3 }).catch(() => undefined);
}

/** True while the executor lives whose folder that is. */
export async function isOwnerAlive(home: string): Promise<boolean> {
  return (await readOwner(home)) === "alive";
}

async function readOwner(home: string): Promise<Owner | "alive" | null> {
  try {
    const file = `${home}/owner.json`;
    const owner = JSON.parse(await readFile(file, "utf8")) as Owner;
    const here = await describeOwner();
    if (owner.boot !== here.boot) return owner;
    if (owner.pidNamespace === here.pidNamespace) return isRunning(owner.pid, owner.startedAt) ? "alive" : owner;
    const silentMs = Date.now() - (await stat(file)).mtimeMs;
    return silentMs < UNSEEN_OWNER_MS ? "alive" : owner;
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
