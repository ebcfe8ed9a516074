import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";

const HEADER = "X-Request-Id";

/** Gives the answer the request's own id where that is a plain one, else a new one. */
export function setRequestId(req: IncomingMessage, res: ServerResponse): void {
  const own = req.headers["x-request-id"];
  res.setHeader(HEADER, typeof own === "string" && /^[\w.-]{1,64}$/.test(own) ? own : randomUUID());
}

/** The id under which the log speaks of the request. */
export function requestIdOf(res: ServerResponse): string {
  return String(res.getHeader(HEADER) ?? "");
}
