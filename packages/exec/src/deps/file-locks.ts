import { lstatSync, rmSync, symlinkSync } from "node:fs";
import { readlink, rename, rm, symlink } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { isOwnerAlive } from "../instance.js";

/** Whoever holds a short lock does not wait for anything; one so old belongs to the dead. In milliseconds. */
const SHORT_MOST_MS = 5_000;
const LOOK_AGAIN_MS = 100;

/** Runs something that takes no time while no other process on this host runs its like. */
export function withShortLock<T>(file: string, home: string, act: () => T): T {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  while (!claimSync(file, home)) {
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
    if (await claim(file, home)) return { [Symbol.asyncDispose]: () => rm(file, { force: true }) };
    const holder = await ownerOf(file);
    if (holder !== null && !(await isOwnerAlive(holder))) await dropLock(file, holder, home);
  }
  return null;
}

/** Removes the lock of one that is gone. Another may have done so, and hold it now: then it is given back. */
export async function dropLock(file: string, holder: string, home: string): Promise<void> {
  const aside = `${file}.${home.slice(home.lastIndexOf("/") + 1)}`;
  await rename(file, aside).catch(() => undefined);
  const found = (await ownerOf(aside)) ?? holder;
  if (found !== holder) await rename(aside, file);
  else await rm(aside, { force: true });
}

/**
 * Makes a link that leads to its owner's folder, unless there is one already: then false. A link, unlike a file, is never
 * there without what it says, wherever its maker is killed.
 */
export async function claim(file: string, home: string): Promise<boolean> {
  try {
    await symlink(home, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** The folder of the executor that made a link; "" where it is no link, null where there is none. */
export async function ownerOf(file: string): Promise<string | null> {
  try {
    return await readlink(file);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" ? null : "";
  }
}

function claimSync(file: string, home: string): boolean {
  try {
    symlinkSync(home, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

function ageMs(file: string): number {
  try {
    return Date.now() - lstatSync(file).mtimeMs;
  } catch {
    return 0;
  }
}
