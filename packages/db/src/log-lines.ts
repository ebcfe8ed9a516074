import { type EventData, isRunOver, type LogLine, type LogStream, type RunStatus } from "@maia/domain";
import { ALL_LINES, fromLogCursor, LOG_END, LOG_START, type LogPlace, toLogCursor } from "./log-cursor.js";
import { type LogRow, logOfRun, logOfStep } from "./log-rows.js";
import type { Db, Sql } from "./types.js";

/** A line of a run's log. */
export interface LogItem extends LogLine {
  readonly stepKey: string;
  readonly attemptNo: number;
}

export interface LogQuery {
  readonly runId: string;
  readonly stepKey?: string | undefined;
  readonly attemptNo?: number | undefined;
  readonly stream?: LogStream | undefined;
  /** Only lines with this text in them, in whatever case. */
  readonly q?: string | undefined;
  readonly cursor?: string | null | undefined;
  readonly limit: number;
  readonly order?: "asc" | "desc" | undefined;
}

export interface LogPage {
  readonly items: LogItem[];
  /** Where to go on; null when the run has ended and nothing remains. A page may have fewer items than asked for. */
  readonly nextCursor: string | null;
}

/** A page ends when it has looked through so many rows or characters, found or not. */
const MAX_ROWS = 4_096;
const MAX_CHARS = 4 * 1024 * 1024;

/** A page of a run's log. @throws {MaiaError} BAD_CURSOR */
export async function readLogLines({ sql }: Pick<Db, "sql">, query: LogQuery): Promise<LogPage> {
  const { runId, stepKey } = query;
  const descending = query.order === "desc";
  let place = query.cursor ? fromLogCursor(query.cursor) : descending ? LOG_END : LOG_START;
  const over = await isOver(sql, runId); // before the lines, or the last words of a run that ends meanwhile are missed
  const read =
    stepKey === undefined ? logOfRun(sql, runId, descending) : await logOfStep(sql, runId, stepKey, descending);
  const items: LogItem[] = [];
  for (let rowsLeft = MAX_ROWS, charsLeft = MAX_CHARS; ; ) {
    const rows = await read(place);
    if (rows.length === 0) return { items, nextCursor: over ? null : toLogCursor(descending ? LOG_START : place) };
    for (const row of rows) {
      place = collect(row, place, query, items);
      rowsLeft -= 1;
      charsLeft -= row.data.length;
      if (items.length >= query.limit || rowsLeft <= 0 || charsLeft <= 0)
        return { items, nextCursor: toLogCursor(place) };
    }
  }
}

async function isOver(sql: Sql, runId: string): Promise<boolean> {
  const run = await sql.get<{ status: RunStatus }>(`SELECT "status" FROM "Run" WHERE "id" = ?`, runId);
  return run === undefined || isRunOver(run.status);
}

/** Adds the row's lines beyond the place that the query wants. @returns the place after the last that it looked at. */
function collect({ id, data }: LogRow, from: LogPlace, query: LogQuery, items: LogItem[]): LogPlace {
  const { stepKey, attemptNo, lines } = JSON.parse(data) as EventData["log_line"];
  const descending = query.order === "desc";
  const here = from.eventId === id ? Math.min(from.lines, lines.length) : descending ? lines.length : 0;
  const wants = filterOf(query, attemptNo);
  const step = descending ? -1 : 1;
  let at = here;
  for (; items.length < query.limit && (descending ? at > 0 : at < lines.length); at += step) {
    const line = lines[descending ? at - 1 : at]!;
    if (wants(line))
      items.push({ at: line.at, stepKey, attemptNo, seq: line.seq, stream: line.stream, line: line.line });
  }
  return { eventId: id, lines: !descending && at === lines.length ? ALL_LINES : at };
}

function filterOf(query: LogQuery, attemptNo: number): (line: LogLine) => boolean {
  if (query.attemptNo !== undefined && query.attemptNo !== attemptNo) return () => false;
  const needle = query.q?.toLowerCase();
  return ({ stream, line }) =>
    (query.stream === undefined || query.stream === stream) &&
    (needle === undefined || line.toLowerCase().includes(needle));
}
