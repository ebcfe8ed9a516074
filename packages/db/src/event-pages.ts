import type { EventKind } from "@maia/domain";
import type { Db } from "./types.js";

/** What a reader needs to know of an event to decide whether to read it. */
export interface EventHead {
  readonly id: number;
  readonly runId: string | null;
  readonly projectId: string | null;
  readonly kind: EventKind;
  /** Bytes of the stored JSON. */
  readonly sizeBytes: number;
}

/** An event as it is stored. */
export interface EventText {
  readonly id: number;
  readonly kind: EventKind;
  /** One line of JSON. */
  readonly data: string;
}

const HEAD = `"id", "runId", "projectId", "kind", octet_length("data") AS "sizeBytes"`;

/** The next events of all runs and projects, in order, without their data. */
export function readEventHeads(db: Db, after: number, limit: number): Promise<EventHead[]> {
  return db.sql.all(`SELECT ${HEAD} FROM "LogEvent" WHERE "id" > ? ORDER BY "id" LIMIT ?`, after, limit);
}

/** The next events of a run, in order, without their data. */
export function readRunEventHeads(db: Db, runId: string, after: number, limit: number): Promise<EventHead[]> {
  const text = `SELECT ${HEAD} FROM "LogEvent" WHERE "runId" = ? AND "id" > ? ORDER BY "id" LIMIT ?`;
  return db.sql.all(text, runId, after, limit);
}

/** The events with these ids, in that order. */
export async function readEvents(db: Db, ids: readonly number[]): Promise<EventText[]> {
  const events: EventText[] = [];
  for (const id of ids) {
    const event = await db.sql.get<EventText>(`SELECT "id", "kind", "data" FROM "LogEvent" WHERE "id" = ?`, id);
    if (event) events.push(event);
  }
  return events;
}
