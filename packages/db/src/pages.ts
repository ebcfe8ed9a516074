import { MaiaError } from "@maia/domain";

/** The projects whose objects exist for a reader; null is all of them. */
export type Scope = readonly string[] | null;

/** Which part of a list is asked for. */
export interface PageRequest {
  readonly limit: number;
  /** Where the page before ended; null is the beginning. */
  readonly cursor: string | null;
  /** Descending, the newest first, unless given; in lists that can be had the other way around. */
  readonly order?: PageOrder | undefined;
}

export type PageOrder = "asc" | "desc";

/** A part of a list. A cursor is null when nothing remains. */
export interface Page<T> {
  readonly items: T[];
  readonly nextCursor: string | null;
}

/** A cursor that names the key of the last row of a page. Opaque to its holder. */
export function toCursor(key: string | number): string {
  return Buffer.from(String(key)).toString("base64url");
}

/** The key that a cursor names. @throws {MaiaError} BAD_CURSOR where we cannot have made it. */
export function fromCursor(cursor: string, isKey: RegExp): string {
  const key = /^[\w-]{1,200}$/.test(cursor) ? Buffer.from(cursor, "base64url").toString("latin1") : "";
  if (isKey.test(key) && toCursor(key) === cursor) return key;
  throw new MaiaError("BAD_CURSOR", "The cursor is none of ours; begin again without one");
}

/** What the keys of a kind of row look like: `job_` and 26 characters. */
export function isIdOf(prefix: string): RegExp {
  return new RegExp(`^${prefix}_[0-9a-z]{1,64}$`);
}

/** Cuts rows to a page. One row more than the limit was read, to know whether anything remains. */
export function toPage<Row, Item>(
  rows: readonly Row[],
  { limit }: PageRequest,
  keyOf: (row: Row) => string | number,
  present: (row: Row) => Item,
): Page<Item> {
  const kept = rows.slice(0, limit);
  const last = rows.length > limit ? kept.at(-1) : undefined;
  return { items: kept.map(present), nextCursor: last === undefined ? null : toCursor(keyOf(last)) };
}

/**
 * A text that the planner cannot look into. SQLite plans a join anew each time that a parameter which it has looked at
 * changes, and that costs six times as much as the query itself.
 */
export const HIDDEN_TEXT = "CAST(? AS TEXT)";
