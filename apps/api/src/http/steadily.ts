import type { IncomingMessage } from "node:http";
import { PassThrough, type Readable } from "node:stream";
import { HttpProblem } from "./problems.js";

/**
 * The bytes of a body as they come. They fail when nothing has come for too long, or the sender has gone; the request
 * itself stays whole, so that it can still be answered.
 */
export function steadily(req: IncomingMessage, idleMs: number): Readable {
  const bytes = new PassThrough();
  bytes.on("error", () => {}); // whoever reads it hears of it, also when it fails before that
  const stalled = () => bytes.destroy(new HttpProblem("REQUEST_TIMEOUT", `Nothing has come for ${idleMs} ms`));
  const timer = setTimeout(stalled, idleMs);
  const onData = () => timer.refresh();
  const onClose = () => {
    if (!req.complete) bytes.destroy(new HttpProblem("BAD_REQUEST", "The body broke off"));
  };
  req.on("data", onData).once("close", onClose).once("error", onClose);
  bytes.once("close", () => {
    clearTimeout(timer);
    req.unpipe(bytes);
    req.off("data", onData).off("close", onClose);
  });
  return req.pipe(bytes);
}
