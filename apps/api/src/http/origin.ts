import type { IncomingMessage } from "node:http";
import type { RequestHandler } from "express";
import { HttpProblem } from "./problems.js";

/**
 * Refuses what a page of another site makes a browser send. Nothing here rests on cookies, so such a request could do
 * nothing; it is refused before anything else is thought about it. A link may be followed from anywhere.
 */
export function refuseOtherSites(publicUrl: URL | null): RequestHandler {
  return (req, _res, next) => {
    if (isFromOtherSite(req, publicUrl))
      throw new HttpProblem("FORBIDDEN", "The request comes from a page of another site; this API has no CORS");
    next();
  };
}

function isFromOtherSite(req: IncomingMessage, publicUrl: URL | null): boolean {
  const { origin, host = "" } = req.headers;
  const site = req.headers["sec-fetch-site"];
  if (site === "same-origin" || site === "none") return false;
  if (site !== undefined) return !isNavigation(req);
  if (origin === undefined) return false;
  const from = URL.parse(origin);
  return from === null || (from.host !== host.toLowerCase() && from.origin !== publicUrl?.origin);
}

function isNavigation({ method, headers }: IncomingMessage): boolean {
  return method === "GET" && headers["sec-fetch-mode"] === "navigate" && headers["sec-fetch-dest"] === "document";
}
