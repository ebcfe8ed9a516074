import { closeSync, openSync, rmSync, statSync, writeSync } from "node:fs";
import { open, readFile, rename, rm } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { isOwnerAlive } from "../instance.js";

/** Whoever holds a short lock does not wait for anything; one so old belongs to the dead. In milliseconds. */
const SHORT_MOST_MS = 5_000;
const LOOK_AGAIN_MS = 100;

/** Runs something that takes no time while no other process on this host runs its like. */
export function withShortLock<T>(file: string, act: () => T): T {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  while (!createSync(file)) {
    if (ageMs(file) > SHORT_MOST_MS) rmSync(file, { force: true });
    else Atomics.wait(pause, 0, 0, 1);
  }
  try {
    return act();
  } finally {
    rmSync(file, { force: true });
  }
}

/**
 * Waits until no other executor holds a lock, then holds it until disposed. The lock of an executor that is gone counts
 * for nothing. Null: it is not wanted any more.
 */
export async function holdLock(file: string, home: string, isWanted: () => boolean): Promise<AsyncDisposable | null> {
  for (; isWanted(); await delay(LOOK_AGAIN_MS)) {
    if (await create(file, home)) return { [Symbol.asyncDispose]: () => rm(file, { force: true }) };
    const holder = await readFile(file, "utf8").catch(() => "");
    if (holder !== "" && !(await isOwnerAlive(holder))) await removeOf(file, holder, home);
  }
  return null;
}

/** Removes the lock of one that is gone. Another may have done so, and hold it now: then it is given back. */
async function removeOf(file: string, holder: string, home: string): Promise<void> {
  const aside = `${file}.${home.slice(home.lastIndexOf("/") + 1)}`;
  await rename(file, aside).catch(() => undefined);
  const found = await readFile(aside, "utf8").catch(() => holder);
  if (found !== holder) await rename(aside, file);
  else await rm(aside, { force: true });
}

async function create(file: string, text: string): Promise<boolean> {
  try {
    await using handle = await open(file, "wx", 0o600);
    await handle.writeFile(text);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

function createSync(file: string): boolean {
  try {
    const fd = openSync(file, "wx", 0o600);
    writeSync(fd, String(process.pid));
    closeSync(fd);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

function ageMs(file: string): number {
  try {
    return Date.now() - statSync(file).mtimeMs;
  } catch {
    return 0;
  }
}
