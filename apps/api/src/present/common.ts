import type { PageRequest } from "@maia/db";
import { addressNameProblem } from "@maia/domain";
import {
  choice,
  integer,
  type JsonSchema,
  list,
  nullable,
  object,
  optional,
  type Shape,
  text,
} from "../http/shapes.js";

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
  return text({ minLength: 1, maxLength, ...keywords }, (value) => addressNameProblem(value, maxLength));
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

/** JSON from a row that may have none. */
export function parsed<T>(text: string | null): T | null {
  return text === null ? null : (JSON.parse(text) as T);
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

/** A part of a text to look for. */
export function partOf(what: string) {
  return { q: optional(nameOf(200, { description: `A part of ${what}, in any case` })) } as const;
}

const askedMoment = text({ format: "date-time" }, (value) => (isMoment(value) ? null : "must be a moment in RFC 3339"));

/** The order of a list of what happens, and a stretch of time that it is narrowed to. */
export const inTime = {
  order: optional(choice(["asc", "desc"], { description: "`desc`, the newest first, unless given" })),
  createdAfter: optional(askedMoment),
  createdBefore: optional(askedMoment),
} as const;

const RFC_3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/i;

function isMoment(value: string): boolean {
  return RFC_3339.test(value) && !Number.isNaN(Date.parse(value));
}

/** The stretch of time that a query names: from one moment on, and before another. */
export function madeBetween(query: { readonly createdAfter?: string; readonly createdBefore?: string }) {
  const at = (value: string | undefined) => (value === undefined ? undefined : new Date(value));
  return { from: at(query.createdAfter), before: at(query.createdBefore) };
}

/** The page that a query asks for. */
export function pageRequest(query: {
  readonly limit?: number;
  readonly cursor?: string;
  readonly order?: "asc" | "desc";
}): PageRequest {
  return { limit: query.limit ?? DEFAULT_LIMIT, cursor: query.cursor ?? null, order: query.order };
}
