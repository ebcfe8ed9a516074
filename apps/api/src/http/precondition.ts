import { hash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { MaiaError } from "@maia/domain";

/** A strong ETag for what has this text. */
export function etagOf(text: string): string {
  return `"${hash("sha256", text).slice(0, 32)}"`;
}

/** Which state of a document a request is meant for: any at all (null), any that is there (`*`), or one of these ETags. */
export type Wanted = null | "*" | readonly string[];

/** What If-Match says. @throws {MaiaError} BAD_REQUEST on what is no list of ETags. */
export function ifMatch(req: IncomingMessage): Wanted {
  const header = req.headers["if-match"]?.trim();
  if (header === undefined) return null;
  if (header === "*") return "*";
  const tags = header.split(",").map((tag) => tag.trim());
  if (tags.every((tag) => /^(W\/)?"[\x21\x23-\x7e]*"$/.test(tag))) return tags;
  throw new MaiaError("BAD_REQUEST", "If-Match is no list of ETags");
}

/** @throws {MaiaError} PRECONDITION where the document is not there, or has changed since the request's author saw it. */
export function requireMatch(wanted: Wanted, current: string | null): void {
  if (wanted === null || (current !== null && (wanted === "*" || wanted.includes(current)))) return;
  throw new MaiaError(
    "PRECONDITION",
    current ? `The document has changed since; it is now ${current}` : "The document is not there",
  );
}

/** True where the request's author has this state already. */
export function isKnown(req: IncomingMessage, current: string): boolean {
  const header = req.headers["if-none-match"];
  if (header === undefined) return false;
  return header.trim() === "*" || header.split(",").some((tag) => tag.trim().replace(/^W\//, "") === current);
}
