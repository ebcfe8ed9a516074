import type { EventData, EventKind } from "@maia/domain";
import type { Scope } from "./pages.js";
import type { Db, EventAbout, Sql } from "./types.js";

/** An event as it is kept; `data` is the JSON that SSE sends. */
export interface StoredEvent {
  readonly id: number;
  readonly runId: string | null;
  readonly projectId: string | null;
  readonly kind: EventKind;
  readonly data: string;
}

const COLUMNS = `"id", "runId", "projectId", "kind", "data"`;

/** Appends an event. Its id follows those of all events that are committed. */
export async function insertEvent<K extends EventKind>(
  sql: Sql,
  kind: K,
  { runId = null, projectId = null, attemptId = null, fromSeq = null, toSeq = null }: Nullable<EventAbout>,
  data: EventData[K],
): Promise<void> {
  const text = `INSERT INTO "LogEvent" ("runId", "projectId", "kind", "attemptId", "fromSeq", "toSeq", "data") VALUES (?, ?, ?, ?, ?, ?, ?)`;
  await sql.run(text, runId, projectId, kind, attemptId, fromSeq, toSeq, JSON.stringify(data));
}

type Nullable<T> = { readonly [K in keyof T]?: T[K] | null };

/**
 * The events that follow `after`, oldest first: of one run, or of all.
 * @param kinds only these; without it every kind.
 */
export function readEventsAfter(
  db: Pick<Db, "sql">,
  runId: string | null,
  after: number,
  limit: number,
  kinds?: readonly EventKind[],
): Promise<StoredEvent[]> {
  if (runId !== null) {
    const filter = kinds ? ` AND "kind" IN (${kinds.map(() => "?").join(", ")})` : "";
    const text = `SELECT ${COLUMNS} FROM "LogEvent" WHERE "runId" = ? AND "id" > ?${filter} ORDER BY "id" LIMIT ?`;
    return db.sql.all(text, runId, after, ...(kinds ?? []), limit);
  }
  if (!kinds) return db.sql.all(`SELECT ${COLUMNS} FROM "LogEvent" WHERE "id" > ? ORDER BY "id" LIMIT ?`, after, limit);
  if (kinds.length === 0) return Promise.resolve([]);
  // One walk of the index per kind: a million lines of logs between two changes of status cost nothing.
  const one = `SELECT * FROM (SELECT ${COLUMNS} FROM "LogEvent" WHERE "kind" = ? AND "id" > ? ORDER BY "id" LIMIT ?) AS "one"`;
  const text = `SELECT * FROM (${kinds.map(() => one).join(" UNION ALL ")}) AS "every" ORDER BY "id" LIMIT ?`;
  return db.sql.all(text, ...kinds.flatMap((kind) => [kind, after, limit]), limit);
}

/** The newest event's id; 0 before the first. */
export async function lastEventId(db: Pick<Db, "sql">): Promise<number> {
  const row = await db.sql.get<{ id: number | null }>(`SELECT MAX("id") AS "id" FROM "LogEvent"`);
  return row?.id ?? 0;
}

/** The id up to which not every event of the projects is kept any more; 0: all are. */
export async function eventFloor({ sql }: Pick<Db, "sql">, projects: Scope): Promise<number> {
  const which = projects === null ? "" : ` WHERE "id" IN (${projects.map(() => "?").join(", ")})`;
  const text = `SELECT max("eventFloor") AS "id" FROM "Project"${which}`;
  return (await sql.get<{ id: number | null }>(text, ...(projects ?? [])))?.id ?? 0;
}

/** The id of the oldest event that is still kept, of one run or of all; null where there is none. */
export async function oldestEventId(db: Pick<Db, "sql">, runId: string | null = null): Promise<number | null> {
  const row =
    runId === null
      ? await db.sql.get<{ id: number | null }>(`SELECT MIN("id") AS "id" FROM "LogEvent"`)
      : await db.sql.get<{ id: number | null }>(`SELECT MIN("id") AS "id" FROM "LogEvent" WHERE "runId" = ?`, runId);
  return row?.id ?? null;
}
