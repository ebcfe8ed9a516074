import type { IncomingMessage, ServerResponse } from "node:http";
import { hasBody } from "./body.js";
import { describeProblem } from "./problems.js";
import { requestIdOf } from "./request-id.js";
import type { Reply } from "./route.js";

/** How long and how much of an unwanted body is still taken in, so that its sender gets to read the answer. */
const LINGER_MS = 1_000;
const LINGER_BYTES = 16 * 1_024 * 1_024;

/** Sends a reply. */
export function send(req: IncomingMessage, res: ServerResponse, reply: Reply): void {
  const { status, body, headers = {} } = reply;
  const isText = headers["Content-Type"] !== undefined;
  if (body === undefined) finish(req, res, status, headers, null);
  else if (isText) finish(req, res, status, headers, String(body));
  else finish(req, res, status, { "Content-Type": "application/json", ...headers }, JSON.stringify(body));
}

/** Sends a problem in place of an answer; where an answer has begun already, it is broken off. */
export function sendProblem(req: IncomingMessage, res: ServerResponse, error: unknown): void {
  if (res.headersSent) {
    res.destroy();
    return;
  }
  for (const name of ["ETag", "Accept-Ranges", "Content-Range", "Content-Disposition"]) res.removeHeader(name);
  const { status, headers, body } = describeProblem(error, requestIdOf(res));
  finish(req, res, status, headers, body);
}

function finish(
  req: IncomingMessage,
  res: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string>>,
  text: string | null,
): void {
  res.statusCode = status;
  for (const name in headers) res.setHeader(name, headers[name]!);
  if (text !== null) res.setHeader("Content-Length", Buffer.byteLength(text));
  else if (status !== 204 && status !== 304) res.setHeader("Content-Length", 0);
  if (!hasBody(req) || req.complete) {
    res.end(text ?? undefined);
    return;
  }
  res.setHeader("Connection", "close");
  if (text === null) res.flushHeaders();
  else res.write(text);
  linger(req, res);
}

/** The answer is out, but its reader is still sending: closing now could destroy it on the way (RFC 9112, 9.6). */
function linger(req: IncomingMessage, res: ServerResponse): void {
  let left = LINGER_BYTES;
  const done = () => {
    clearTimeout(timer);
    res.end();
  };
  const timer = setTimeout(done, LINGER_MS);
  req.on("data", (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) done();
  });
  req.once("end", done).once("close", done).once("error", done);
  req.resume();
}
