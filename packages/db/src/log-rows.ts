import { ALL_LINES, type LogPlace } from "./log-cursor.js";
import type { Sql } from "./types.js";

/** A stored event with lines of a log. */
export interface LogRow {
  readonly id: number;
  readonly data: string;
}

/** Gives the next rows of a log from a place on, none at its end. */
export type LogSource = (from: LogPlace) => Promise<LogRow[]>;

/** How many rows are read at once; each holds up to some hundred lines. */
const ROWS = 16;

/** The log of a whole run, in the order in which it was written. */
export function logOfRun(sql: Sql, runId: string, descending: boolean): LogSource {
  return (from) => {
    const order = descending ? "DESC" : "ASC";
    const text = `SELECT "id", "data" FROM "LogEvent" WHERE "runId" = ? AND "kind" = 'log_line' AND ${beyond(from, descending)} ORDER BY "id" ${order} LIMIT ?`;
    return sql.all(text, runId, from.eventId, ROWS);
  };
}

/**
 * The log of a step, attempt by attempt. Each attempt is read along its own index, so that a quiet step in a loud run
 * costs no more than one alone.
 */
export async function logOfStep(sql: Sql, runId: string, stepKey: string, descending: boolean): Promise<LogSource> {
  const order = descending ? "DESC" : "ASC";
  const attempts = await sql.all<{ id: string }>(
    `SELECT "id" FROM "Attempt" WHERE "runId" = ? AND "stepKey" = ? ORDER BY "no" ${order}`,
    runId,
    stepKey,
  );
  const text = (from: LogPlace) => `SELECT "id", "data" FROM "LogEvent"
    WHERE "attemptId" = ? AND "fromSeq" ${descending ? "<=" : ">="} ? AND ${beyond(from, descending)} ORDER BY "fromSeq" ${order} LIMIT ?`;
  return async (from) => {
    const here = await sql.get<{ attemptId: string; fromSeq: number }>(
      `SELECT "attemptId", "fromSeq" FROM "LogEvent" WHERE "id" = ? AND "fromSeq" IS NOT NULL`,
      from.eventId,
    );
    const current = attempts.findIndex(({ id }) => id === here?.attemptId);
    for (const { id } of attempts.slice(Math.max(current, 0))) {
      const fromSeq = here?.attemptId === id ? here.fromSeq : descending ? Number.MAX_SAFE_INTEGER : 0;
      const rows = await sql.all<LogRow>(text(from), id, fromSeq, from.eventId, ROWS);
      if (rows.length > 0) return rows;
    }
    return [];
  };
}

/** The condition on the id of events that still have lines beyond the place. */
function beyond({ lines }: LogPlace, descending: boolean): string {
  if (descending) return lines === 0 ? `"id" < ?` : `"id" <= ?`;
  return lines === ALL_LINES ? `"id" > ?` : `"id" >= ?`;
}
