import type { IncomingMessage } from "node:http";
import { HttpProblem } from "./problems.js";

/** A part of a whole: the bytes from `from` up to, and not including, `to`. */
export interface ContentRange {
  readonly from: number;
  readonly to: number;
  readonly total: number;
}

/**
 * What a request says of the part that it brings: `bytes 0-99/500`, or that nothing is left to bring: an asterisk and the
 * total. Null: it brings the whole. @throws {HttpProblem} BAD_REQUEST where it says neither, or its length says otherwise.
 */
export function readContentRange({ headers }: IncomingMessage): ContentRange | null {
  const text = headers["content-range"];
  if (text === undefined) return null;
  const [, first, last, total] = /^bytes (?:(\d{1,16})-(\d{1,16})|\*)\/(\d{1,16})$/.exec(text) ?? [];
  if (total === undefined)
    throw new HttpProblem("BAD_REQUEST", "Content-Range must be like `bytes 0-99/500`, or `bytes */500`");
  const end = Number(total);
  const range =
    first === undefined
      ? { from: end, to: end, total: end }
      : { from: Number(first), to: Number(last) + 1, total: end };
  if ((first !== undefined && range.from >= range.to) || range.to > range.total)
    throw new HttpProblem("BAD_REQUEST", `Content-Range "${text}" names no part of ${total} bytes`);
  const length = headers["content-length"];
  if (length !== undefined && Number(length) !== range.to - range.from)
    throw new HttpProblem("BAD_REQUEST", `Content-Range "${text}" and Content-Length ${length} say different things`);
  return range;
}
