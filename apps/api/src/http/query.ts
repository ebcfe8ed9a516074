import { parse } from "node:querystring";
import { invalid, Reader } from "@maia/domain";
import { HttpProblem } from "./problems.js";
import { type Fields, type ObjectOf, object } from "./shapes.js";

/** A credential does not belong in an address, where logs and proxies keep it. */
const CREDENTIALS = ["access_token", "token", "api_key", "apikey", "key", "client_secret"];

/** The part behind the question mark, or "". */
export function queryText(url: string): string {
  const at = url.indexOf("?");
  return at < 0 ? "" : url.slice(at + 1);
}

/**
 * Reads the query that a route declares. A parameter that nobody knows is refused: whoever asks for less with it would be
 * given everything.
 * @throws {MaiaError} INVALID naming the parameter; {HttpProblem} UNAUTHENTICATED on a credential in the address.
 */
export function readQuery<F extends Fields>(url: string, fields: F): ObjectOf<F> {
  const given: Record<string, unknown> = {};
  const text = queryText(url);
  for (const [name, value] of text ? Object.entries(parse(text)) : []) {
    if (Object.hasOwn(fields, name)) given[name] = one(name, value, fields[name]!.schema.type === "integer");
    else refuseUnknown(name, fields);
  }
  return Reader.read(given, (root) => object(fields).read(root));
}

/** @throws {HttpProblem} UNAUTHENTICATED where the address carries a credential. */
export function refuseCredentials(url: string): void {
  const names = Object.keys(parse(queryText(url)));
  if (!names.some((name) => CREDENTIALS.includes(name.toLowerCase()))) return;
  throw new HttpProblem("UNAUTHENTICATED", "Credentials belong in the Authorization header, never in the address");
}

function one(name: string, value: string | string[] | undefined, isInteger: boolean): unknown {
  if (Array.isArray(value)) throw refused(name, "is given more than once");
  return isInteger && value !== undefined && /^-?\d{1,15}$/.test(value) ? Number(value) : value;
}

function refuseUnknown(name: string, fields: Fields): void {
  const plain = /^\w*/.exec(name)![0];
  if (plain !== name && (Object.hasOwn(fields, plain) || /[[\]$]/.test(name)))
    throw refused(name, "takes one plain value");
  const known = Object.keys(fields).join(", ");
  throw refused(name, known ? `is not known here; known are ${known}` : "is not known here; this takes none");
}

function refused(name: string, message: string): Error {
  const short = name.slice(0, 64);
  return invalid([{ pointer: `/${short}`, message: `the query parameter ${short} ${message}` }]);
}
