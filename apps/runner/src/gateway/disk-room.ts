import { statfsSync } from "node:fs";
import type { Logger } from "@maia/service";

/** How long a look at the disk counts. In milliseconds. */
const LOOK_MS = 1_000;
const MIB = 1_024 * 1_024;

export interface DiskRoomOptions {
  /** The data directory. */
  readonly dir: string;
  /** With less than this nothing new is taken; 0: whatever there is. In bytes. */
  readonly leastBytes: number;
  readonly logger: Logger;
}

/** Tells whether the disk has room for another task: one that cannot be begun would wait here while others have room. */
export class DiskRoom {
  #hasRoom = true;
  #until = 0;

  constructor(private readonly options: DiskRoomOptions) {}

  get isThere(): boolean {
    const { leastBytes, dir, logger } = this.options;
    if (leastBytes === 0 || performance.now() < this.#until) return this.#hasRoom;
    this.#until = performance.now() + LOOK_MS;
    const freeBytes = freeOn(dir);
    const hasRoom = freeBytes >= leastBytes;
    if (hasRoom !== this.#hasRoom) {
      const fields = { freeMiB: Math.floor(freeBytes / MIB), leastMiB: Math.floor(leastBytes / MIB), dir };
      if (hasRoom) logger.info("the disk has room for new tasks again", fields);
      else logger.error("the disk has too little room; nothing new is taken until there is more", fields);
    }
    this.#hasRoom = hasRoom;
    return hasRoom;
  }
}

/** What this account may still write. A disk that cannot be asked is judged by the writes themselves. */
function freeOn(dir: string): number {
  try {
    const { bavail, bsize } = statfsSync(dir);
    return bavail * bsize;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
