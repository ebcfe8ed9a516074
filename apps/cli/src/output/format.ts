import { stripVTControlCharacters } from "node:util";
import stringWidth from "string-width";

/** A length of time for people: `0.4s`, `12.3s`, `4m05s`, `2h03m`. */
export function duration(ms: number): string {
  const seconds = Math.max(0, ms) / 1_000;
  if (seconds < 59.95) return `${seconds.toFixed(1)}s`;
  const whole = Math.round(seconds);
  const [hours, minutes] = [Math.floor(whole / 3_600), Math.floor((whole % 3_600) / 60)];
  const two = (value: number) => String(value).padStart(2, "0");
  return hours > 0 ? `${hours}h${two(minutes)}m` : `${minutes}m${two(whole % 60)}s`;
}

/** The time between two moments of the API, or an empty text where one is missing. */
export function between(start: string | null, end: string | null): string {
  return start === null || end === null ? "" : duration(Date.parse(end) - Date.parse(start));
}

/** How long ago a moment is: `8s ago`, `3m ago`, `2h ago`, `5d ago`. */
export function ago(at: string, now: Date): string {
  const seconds = Math.max(0, Math.floor((now.getTime() - Date.parse(at)) / 1_000));
  if (seconds < 60) return `${seconds}s ago`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)}h ago`;
  return `${Math.floor(seconds / 86_400)}d ago`;
}

/** A number of bytes for people. */
export function bytes(count: number): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let [value, unit] = [count, 0];
  for (; value >= 1_000 && unit < units.length - 1; unit++) value /= 1_000;
  return unit === 0 ? `${count} B` : `${value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`;
}

/** Text that others wrote, safe to show on a terminal: one line, nothing that drives it. */
export function plain(text: string): string {
  return stripVTControlCharacters(text)
    .replace(/\t/g, "  ")
    .replace(/(?<=.)(\r?\n|[\u2028\u2029])+(?=.)/g, " · ")
    .replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, "");
}

/** Cuts text to a width in columns, with an ellipsis where something is missing. */
export function cut(text: string, columns: number): string {
  if (stringWidth(text) <= columns) return text;
  let [kept, width] = ["", 0];
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    width += stringWidth(segment);
    if (width > columns - 1) break;
    kept += segment;
  }
  return columns > 0 ? `${kept}…` : "";
}

/** Fills text up to a width in columns. */
export function fill(text: string, columns: number): string {
  return text + " ".repeat(Math.max(0, columns - stringWidth(text)));
}
