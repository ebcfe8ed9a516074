import type { IncomingMessage, ServerResponse } from "node:http";
import { Problem } from "./problems.js";

/**
 * The chunks of a request's body. Leaving it unread keeps the connection, so that the caller can be told why.
 * @throws {Problem} TIMEOUT when it brings no byte for `idleMs`; then the connection has ended.
 */
export async function* bodyOf(req: IncomingMessage, idleMs: number): AsyncGenerator<Uint8Array> {
  const late = () => req.destroy(new Problem("TIMEOUT", `The request's body brought nothing for ${idleMs} ms`));
  const timer = setTimeout(late, idleMs);
  try {
    for await (const chunk of req.iterator({ destroyOnReturn: false })) {
      timer.refresh();
      yield chunk;
    }
  } finally {
    clearTimeout(timer);
  }
}

/** Reads a JSON body. @throws {Problem} UNSUPPORTED_MEDIA, TOO_LARGE, BAD_JSON */
export async function readJson(
  req: IncomingMessage,
  limits: { readonly maxBytes: number; readonly idleMs: number },
): Promise<unknown> {
  const type = req.headers["content-type"]?.split(";")[0]?.trim().toLowerCase();
  if (type !== "application/json") throw new Problem("UNSUPPORTED_MEDIA", "The body must be application/json");
  const tooLarge = new Problem("TOO_LARGE", `The body is larger than ${limits.maxBytes} bytes`);
  if (Number(req.headers["content-length"] ?? 0) > limits.maxBytes) throw tooLarge;
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of bodyOf(req, limits.idleMs)) {
    sizeBytes += chunk.length;
    if (sizeBytes > limits.maxBytes) throw tooLarge;
    chunks.push(chunk);
  }
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks)));
  } catch {
    throw new Problem("BAD_JSON", "The body is no JSON in UTF-8");
  }
}

export function sendJson(res: ServerResponse, status: number, value: unknown): void {
  const body = JSON.stringify(value);
  res.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(body) });
  res.end(body);
}
