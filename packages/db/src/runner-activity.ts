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

/** So many entries of a runner's history are kept; what its users did is in the audit log besides. */
const KEPT = 10_000;
/** … and so many are forgotten in one write. */
const FORGOTTEN_AT_ONCE = 5_000;

/** Forgets the oldest entries of a runner that has too many: one that starts again and again adds to them without end. @returns how many */
export async function trimActivities({ sql }: Tx, runnerId: string): Promise<number> {
  const ofRunner = `SELECT "id" FROM "RunnerActivity" WHERE "runnerId" = ?`;
  const last = await sql.get<{ id: string }>(`${ofRunner} ORDER BY "id" DESC LIMIT 1 OFFSET ${KEPT}`, runnerId);
  if (!last) return 0;
  const text = `DELETE FROM "RunnerActivity" WHERE "id" IN (${ofRunner} AND "id" <= ? LIMIT ${FORGOTTEN_AT_ONCE})`;
  return sql.run(text, runnerId, last.id);
}
