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
