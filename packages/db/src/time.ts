/** A moment as the database keeps it: `2026-11-20T21:19:48.555+00:00`, the way Prisma writes it, so that text order is time order. */
export function toDbTime(at: Date): string {
  return at.toISOString().replace("Z", "+00:00");
}

/** The moment that a stored text names. */
export function fromDbTime(text: string): Date;
export function fromDbTime(text: string | null): Date | null;
export function fromDbTime(text: string | null): Date | null {
  return text === null ? null : new Date(text);
}

type Moment<T> = T extends string ? Date : null;

/** A row whose `…At` columns are moments. */
export type WithMoments<T> = { readonly [K in keyof T]: K extends `${string}At` ? Moment<T[K]> : T[K] };

/** Reads the columns of a row that say when. */
export function withMoments<T extends object>(row: T): WithMoments<T> {
  const columns = Object.entries(row).map(([name, value]) => [name, name.endsWith("At") ? fromDbTime(value) : value]);
  return Object.fromEntries(columns) as WithMoments<T>;
}
