import { nameProblem } from "@maia/domain";
import { integer, type JsonSchema, list, nullable, object, optional, type Shape, text } from "../http/shapes.js";

/** A moment: RFC 3339 in UTC with milliseconds. */
export const moment = text({ format: "date-time" });

/** The moment as it travels. */
export function iso(at: Date): string;
export function iso(at: Date | null): string | null;
export function iso(at: Date | null): string | null {
  return at === null ? null : at.toISOString();
}

/** An id: opaque, with the prefix of its kind. */
export function id(prefix: string): Shape<string> {
  return text({ pattern: `^${prefix}_` });
}

export const sha256 = text({ pattern: "^[0-9a-f]{64}$" });

/** A name that people read. */
export function nameOf(maxLength: number, keywords: JsonSchema = {}): Shape<string> {
  return text({ minLength: 1, maxLength, ...keywords }, (value) => nameProblem(value, maxLength));
}

/** Why a run or an attempt failed. */
export const failure = nullable(object({ code: text(), message: text(), stepKey: optional(nullable(text())) }));

/**
 * JSON from a row, or `unreadable` where the row was damaged: one such row must not hide a whole list. What is wrong with
 * it is told by the engine, which fails the job by name.
 */
export function stored<T>(text: string, unreadable: T): T {
  try {
    return JSON.parse(text) as T;
  } catch {
    return unreadable;
  }
}

/** A list as it is answered. */
export function pageOf<T>(item: Shape<T>): Shape<{ readonly items: readonly T[]; readonly nextCursor: string | null }> {
  return object({ items: list(item, 1_000), nextCursor: nullable(text()) });
}

export const DEFAULT_LIMIT = 25;

/** The query of every list. */
export const paging = {
  limit: optional(integer(1, 100, { default: DEFAULT_LIMIT, description: "How many items" })),
  cursor: optional(text({ description: "The nextCursor of the page before" })),
} as const;

/** The project that names are looked up in, or that a list is narrowed to. */
export const inProject = { project: optional(text({ description: "A project, by id or by name" })) } as const;

/** The page that a query asks for. */
export function pageRequest(query: { readonly limit?: number; readonly cursor?: string }) {
  return { limit: query.limit ?? DEFAULT_LIMIT, cursor: query.cursor ?? null };
}
