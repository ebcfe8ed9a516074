import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, renameSync, rmSync, symlinkSync, utimesSync } from "node:fs";
import { chmod, mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isOwnerAlive } from "../instance.js";
import { claim, dropLock, holdLock, ownerOf, withShortLock } from "./file-locks.js";
import { moveTree, settleTree, syncFolder } from "./tree.js";

/** Others may pass through to a set whose name they know, but not look. */
const PASSABLE = 0o711;

/** One set of installed packages, in use. */
export interface SetInUse {
  readonly key: string;
  /** Lets go of the set; again does nothing. */
  readonly release: () => void;
}

export interface StoreOptions {
  readonly root: string;
  readonly cacheBytes: number;
  /** The folder of the executor: it says whether the executor lives. */
  readonly home: string;
  readonly onTrouble: (message: string, error: unknown) => void;
}

/**
 * The sets of installed packages on this host, which several executors may share. A set is complete or absent: it is made
 * elsewhere and renamed into place. For each there is a mark, whose time says when the set was used last; and a link for
 * each executor that uses it now. An executor names itself before it leaves anything else, so that the next one to open
 * knows what the dead have left.
 */
export class DepsStore {
  private readonly uses = new Map<string, number>();
  private readonly id: string;
  private isOverBudget = false;
  private evicting: Promise<void> = Promise.resolve();

  private constructor(private readonly options: StoreOptions) {
    this.id = options.home.slice(options.home.lastIndexOf("/") + 1);
  }

  static async open(options: StoreOptions): Promise<DepsStore> {
    const store = new DepsStore(options);
    for (const folder of [options.root, store.sets]) {
      await mkdir(folder, { recursive: true, mode: PASSABLE });
      await chmod(folder, PASSABLE);
    }
    for (const name of ["marks", "uses", "locks", "moving", "executors"])
      await mkdir(store.at(name), { recursive: true, mode: 0o700 });
    await claim(store.at("executors", store.id), options.home);
    await store.clearDead();
    store.evict();
    return store;
  }

  /** The folder whose subfolders are the sets. */
  get sets(): string {
    return this.at("sets");
  }

  /** Takes a set in use; null: it is not here. */
  use(key: string): SetInUse | null {
    const count = this.uses.get(key) ?? 0;
    if (count === 0 && !this.begin(key)) return null;
    this.uses.set(key, count + 1);
    let isReleased = false;
    const release = (): void => {
      if (isReleased) return;
      isReleased = true;
      this.release(key);
    };
    return { key, release };
  }

  /** Waits until no other executor installs what this one wants to install. Null: it is not wanted any more. */
  async lock(hash: string, isWanted: () => boolean): Promise<AsyncDisposable | null> {
    return await holdLock(this.at("locks", `install-${hash}`), this.options.home, isWanted);
  }

  /** Puts a tree that an installation has built into its place. A twin that was faster wins: it is the same. */
  async keep(key: string, built: string): Promise<void> {
    const own = this.at("moving", `${this.id}-${randomBytes(6).toString("hex")}`);
    try {
      await moveTree(built, own);
      const sizeBytes = await settleTree(own);
      await writeFile(this.at("marks", key), JSON.stringify({ sizeBytes }), { flush: true });
      await rename(own, this.at("sets", key)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
      });
      await syncFolder(this.sets);
    } finally {
      await rm(own, { recursive: true, force: true });
    }
  }

  /** Removes sets that nobody uses, those first that were used longest ago, until the rest is within the budget. */
  evict(): void {
    this.evicting = this.evicting
      .then(() => this.evictNow())
      .catch((error: unknown) => this.options.onTrouble("old packages could not be removed", error));
  }

  private begin(key: string): boolean {
    return withShortLock(this.at("locks", key), this.options.home, () => {
      if (!existsSync(this.at("sets", key))) return false;
      rmSync(this.at("uses", `${key}.${this.id}`), { force: true });
      symlinkSync(this.options.home, this.at("uses", `${key}.${this.id}`));
      const now = new Date();
      try {
        utimesSync(this.at("marks", key), now, now);
      } catch {
        // Without a mark, the set counts as old.
      }
      return true;
    });
  }

  private release(key: string): void {
    const left = this.uses.get(key)! - 1;
    if (left > 0) {
      this.uses.set(key, left);
      return;
    }
    this.uses.delete(key);
    rmSync(this.at("uses", `${key}.${this.id}`), { force: true });
    if (this.isOverBudget) this.evict();
  }

  /** Clears what executors that are gone held, and what they were about to put into its place. */
  private async clearDead(): Promise<void> {
    for (const id of await readdir(this.at("executors"))) {
      const link = this.at("executors", id);
      const home = await ownerOf(link);
      if (home === null || (await isOwnerAlive(home))) continue; // null: somebody else has just cleared it
      await this.removeAll("moving", (name) => name.startsWith(`${id}-`));
      await this.removeAll("uses", (name) => name.endsWith(`.${id}`));
      await this.removeAll("locks", (name) => name.endsWith(`.${id}`));
      for (const name of await readdir(this.at("locks")))
        if ((await ownerOf(this.at("locks", name))) === home)
          await dropLock(this.at("locks", name), home, this.options.home);
      await rm(link, { force: true });
    }
  }

  private async removeAll(folder: string, isChosen: (name: string) => boolean): Promise<void> {
    for (const name of await readdir(this.at(folder)))
      if (isChosen(name)) await rm(this.at(folder, name), { recursive: true, force: true });
  }

  private async evictNow(): Promise<void> {
    const sets = await this.measured();
    let bytes = sets.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    for (const { key, sizeBytes } of sets) {
      if (bytes <= this.options.cacheBytes) break;
      if (this.uses.has(key)) continue;
      await this.forgetDeadUsers(key);
      const moved = this.takeAway(key);
      if (moved === null) continue;
      await rm(moved, { recursive: true, force: true });
      bytes -= sizeBytes;
    }
    this.isOverBudget = bytes > this.options.cacheBytes;
  }

  /** The sets and their sizes, in the order of their last use. */
  private async measured(): Promise<{ key: string; sizeBytes: number }[]> {
    const found: { key: string; sizeBytes: number; usedAt: number }[] = [];
    for (const key of await readdir(this.at("marks"))) {
      const mark = this.at("marks", key);
      try {
        const { sizeBytes } = JSON.parse(await readFile(mark, "utf8")) as { sizeBytes: number };
        found.push({ key, sizeBytes, usedAt: (await stat(mark)).mtimeMs });
      } catch {
        // Somebody else has just removed the set.
      }
    }
    return found.sort((a, b) => a.usedAt - b.usedAt);
  }

  private async forgetDeadUsers(key: string): Promise<void> {
    for (const name of this.usersOf(key)) {
      const file = this.at("uses", name);
      const home = await ownerOf(file);
      if (home !== null && !(await isOwnerAlive(home))) await rm(file, { force: true });
    }
  }

  /** Moves a set out of everybody's way, unless somebody uses it. */
  private takeAway(key: string): string | null {
    return withShortLock(this.at("locks", key), this.options.home, () => {
      if (this.usersOf(key).length > 0) return null;
      const moved = this.at("moving", `${this.id}-${randomBytes(6).toString("hex")}`);
      if (existsSync(this.at("sets", key))) renameSync(this.at("sets", key), moved);
      rmSync(this.at("marks", key), { force: true });
      return moved;
    });
  }

  private usersOf(key: string): string[] {
    return readdirSync(this.at("uses")).filter((name) => name.startsWith(`${key}.`));
  }

  private at(...parts: string[]): string {
    return join(this.options.root, ...parts);
  }
}
