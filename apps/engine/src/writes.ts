import type { Db, Tx } from "@maia/db";
import { isMaiaError } from "@maia/domain";
import type { Logger } from "@maia/service";
import { Backoff, pause } from "./pause.js";
import type { Hold, Slots } from "./slots.js";

/** The engine's writes: what has happened must be recorded, however long the database is busy or its disk full. */
export class Writes {
  constructor(
    private readonly db: Db,
    private readonly slots: Slots,
    private readonly logger: Logger,
    private readonly stopped: AbortSignal,
  ) {}

  /** Writes, and waits out a busy database or a full disk. */
  async patiently<T>(fn: (tx: Tx) => Promise<T>): Promise<T> {
    for (const backoff = new Backoff(); ; ) {
      try {
        return await this.db.write(fn);
      } catch (error) {
        const passing = isMaiaError(error) && (error.code === "BUSY" || error.code === "STORAGE_FULL");
        if (!passing || this.stopped.aborted) throw error;
        this.logger.warn("a write has to wait", { code: error.code });
        await pause(backoff.next(), this.stopped);
      }
    }
  }

  /** The same for a write that may take slots; one that fails or is repeated gives them back first. */
  async withSlots<T>(fn: (tx: Tx, hold: Hold) => Promise<T>): Promise<T> {
    const hold = this.slots.hold();
    try {
      return await this.patiently((tx) => {
        hold.release();
        return fn(tx, hold);
      });
    } catch (error) {
      hold.release();
      throw error;
    }
  }
}
