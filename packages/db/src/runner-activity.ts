import { type JsonObject, newId } from "@maia/domain";
import { toDbTime } from "./time.js";
import type { Tx } from "./types.js";

/** Something that was done to a runner, or that it did. */
export interface NewActivity {
  /** A key's id, "runner" or "maia". */
  readonly actor: string;
  readonly action: string;
  readonly note?: string;
  readonly data?: JsonObject;
}

/** Notes in a runner's history who did what and why. */
export async function noteActivity(tx: Tx, runnerId: string, activity: NewActivity, now: Date): Promise<void> {
  const { actor, action, note = "", data = {} } = activity;
  await tx.sql.run(
    `INSERT INTO "RunnerActivity" ("id", "runnerId", "at", "actor", "action", "note", "data") VALUES (?, ?, ?, ?, ?, ?, ?)`,
    newId("activity", now),
    runnerId,
    toDbTime(now),
    actor,
    action,
    note,
    JSON.stringify(data),
  );
}
