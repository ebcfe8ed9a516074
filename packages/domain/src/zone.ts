import { DAY, MINUTE, SECOND } from "./time.js";

/** Formatters by zone: making one takes a thousand times as long as using it. There are some 600 zones. */
const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(timezone: string): Intl.DateTimeFormat {
  const known =
    formats.get(timezone) ?? new Intl.DateTimeFormat("en", { timeZone: timezone, timeZoneName: "longOffset" });
  formats.set(timezone, known);
  return known;
}

/** How far the clocks of a zone are ahead of UTC, in milliseconds. */
export function offsetMs(timezone: string, at: number): number {
  const name = formatOf(timezone)
    .formatToParts(at)
    .find(({ type }) => type === "timeZoneName")?.value;
  const [, sign, hours = 0, minutes = 0, seconds = 0] = /([+-])(\d\d):(\d\d)(?::(\d\d))?$/.exec(name ?? "") ?? [];
  const ahead = (Number(hours) * 60 + Number(minutes)) * MINUTE + Number(seconds) * SECOND;
  return sign === "-" ? -ahead : ahead;
}

/**
 * When the clocks of a zone first show a time, or would have shown it had they not skipped it.
 * @param shown the time on the clock, as if it were UTC.
 */
export function firstShown(timezone: string, shown: number): number {
  const before = offsetMs(timezone, shown - DAY);
  const after = offsetMs(timezone, shown + DAY);
  if (offsetMs(timezone, shown - before) === before) return shown - before;
  if (offsetMs(timezone, shown - after) === after) return shown - after;
  let [low, high] = [shown - after, shown - before]; // the clocks change between the two
  while (high - low > SECOND) {
    const middle = Math.floor((low + high) / 2 / SECOND) * SECOND;
    if (offsetMs(timezone, middle) === before) low = middle;
    else high = middle;
  }
  return high;
}

/** What the clocks of a zone show at a moment, with their distance to UTC: `2026-03-29T03:00:00+02:00`. */
export function wallTime(timezone: string, at: Date): string {
  const ahead = offsetMs(timezone, at.getTime());
  const shown = new Date(at.getTime() + ahead).toISOString().slice(0, 19);
  const minutes = Math.abs(Math.trunc(ahead / MINUTE));
  const two = (value: number) => String(value).padStart(2, "0");
  return `${shown}${ahead < 0 ? "-" : "+"}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}
