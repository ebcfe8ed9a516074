import { MaiaError } from "@maia/domain";

/** A place between two lines of a log: so many `lines` of the event lie before it. */
export interface LogPlace {
  readonly eventId: number;
  readonly lines: number;
}

/** As many lines as an event has, and more: the place behind it. */
export const ALL_LINES = 999_999_999;
/** Before every line. */
export const LOG_START: LogPlace = { eventId: 0, lines: 0 };
/** Behind every line. */
export const LOG_END: LogPlace = { eventId: 999_999_999_999_999, lines: ALL_LINES };

/** The place as an opaque text. */
export function toLogCursor({ eventId, lines }: LogPlace): string {
  return Buffer.from(`${eventId}.${lines}`).toString("base64url");
}

/** @throws {MaiaError} BAD_CURSOR where it is none of ours. */
export function fromLogCursor(cursor: string): LogPlace {
  const [, eventId, lines] = /^(\d{1,15})\.(\d{1,9})$/.exec(Buffer.from(cursor, "base64url").toString("latin1")) ?? [];
  const place = { eventId: Number(eventId), lines: Number(lines) };
  if (eventId !== undefined && toLogCursor(place) === cursor) return place;
  throw new MaiaError("BAD_CURSOR", "The cursor is none of ours; begin again without one");
}
