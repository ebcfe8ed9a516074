import type { IncomingMessage } from "node:http";
import type { RequestHandler } from "express";
import { HttpProblem } from "./problems.js";
import { setRequestId } from "./request-id.js";

/** The longest request target, in bytes. */
const URL_MAX = 8 * 1_024;
/** The most that all headers together may take, in bytes, and how many there may be. */
const HEADERS_MAX = 16 * 1_024;
const HEADER_COUNT_MAX = 100;

/** Headers that say something only once; where they come twice, two parties would read two different requests. */
const SINGLE = new Set([
  "host",
  "authorization",
  "content-type",
  "content-encoding",
  "content-range",
  "idempotency-key",
  "if-match",
]);

/** Which names the server answers to: null is any. */
export type HostNames = ReadonlySet<string> | null;

/** Looks at what every request has, before anything else does. */
export function guard(hosts: HostNames): RequestHandler {
  return (req, res, next) => {
    setRequestId(req, res);
    checkHeaders(req.rawHeaders);
    checkTarget(req.url);
    checkHost(req, hosts);
    next();
  };
}

function checkHeaders(raw: readonly string[]): void {
  let size = 0;
  let singles = "";
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!;
    size += name.length + raw[i + 1]!.length + 4;
    const lower = name.toLowerCase();
    if (!SINGLE.has(lower)) continue;
    if (singles.includes(`${lower}\n`)) throw refuseTwice(lower);
    singles += `${lower}\n`;
  }
  if (size > HEADERS_MAX || raw.length > HEADER_COUNT_MAX * 2) {
    throw new HttpProblem("HEADERS_TOO_LARGE", `Headers may be ${HEADER_COUNT_MAX}, with ${HEADERS_MAX} bytes in all`);
  }
}

function refuseTwice(name: string): HttpProblem {
  const message = `The header ${name} may be given once only`;
  return new HttpProblem(name === "authorization" ? "UNAUTHENTICATED" : "BAD_REQUEST", message);
}

/** Only paths, and only such that decode to text. What they decode to is for the route, which knows no other spelling. */
function checkTarget(url: string): void {
  if (url.length > URL_MAX) throw new HttpProblem("URI_TOO_LONG", `An address may have ${URL_MAX} bytes`);
  if (!url.startsWith("/")) throw new HttpProblem("BAD_REQUEST", "The request target must be a path");
  if (!url.includes("%")) return;
  const end = url.indexOf("?");
  const path = decoded(end < 0 ? url : url.slice(0, end));
  if (path === null || path.includes("\0")) {
    throw new HttpProblem("BAD_REQUEST", "The address holds percent-encoding that is no text");
  }
}

function decoded(path: string): string | null {
  try {
    return decodeURIComponent(path);
  } catch {
    return null;
  }
}

/** On loopback a page of the web could reach us under a name of its own, and would be of the same origin. */
function checkHost(req: IncomingMessage, hosts: HostNames): void {
  const { host } = req.headers;
  if (!host) throw new HttpProblem("BAD_REQUEST", "The header Host is missing");
  const name = hostName(host);
  if (name === null) throw new HttpProblem("BAD_REQUEST", "The header Host is no host");
  if (hosts && !hosts.has(name)) throw new HttpProblem("MISDIRECTED", "This server does not answer to that Host");
}

/** The name in a Host header, without its port. Null: it is no host. */
export function hostName(host: string): string | null {
  const match = /^(\[[0-9a-f:.]+\]|[\w.-]+)(?::\d{1,5})?$/i.exec(host);
  return match ? match[1]!.toLowerCase() : null;
}

/** True for an address that only this machine can reach. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host);
}
