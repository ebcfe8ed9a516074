import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import Database from "better-sqlite3";
import type { Deployment } from "./deployments.ts";

/**
 * Stops a part of a Maia between two of its writes. SQLite's write lock belongs to a process: one that stands still in the
 * middle of a write keeps everybody from writing until it wakes or dies, which is another story than the one to be told.
 */
export async function freeze(maia: Deployment, part: string): Promise<void> {
  for (;;) {
    maia.part(part).signal("SIGSTOP");
    if (canWrite(maia)) return;
    maia.part(part).signal("SIGCONT");
    await delay(50 + Math.random() * 100);
  }
}

function canWrite({ dataDir }: Deployment): boolean {
  const db = new Database(path.join(dataDir, "maia.db"), { timeout: 2_000 });
  try {
    db.exec("BEGIN IMMEDIATE; ROLLBACK");
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === "SQLITE_BUSY") return false;
    throw error;
  } finally {
    db.close();
  }
}
