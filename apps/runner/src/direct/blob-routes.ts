import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import { isSha256 } from "@maia/runner-protocol";
import type { BlobStore } from "@maia/storage";
import { bodyOf, sendJson } from "./bodies.js";
import { Problem } from "./problems.js";

export interface BlobContext {
  readonly blobs: BlobStore;
  readonly blobMaxBytes: number;
  readonly bodyIdleMs: number;
}

/** `PUT /v1/blobs/{sha256}`: keeps the body. 201, or 200 where it was known. */
export async function putBlob(
  { blobs, blobMaxBytes, bodyIdleMs }: BlobContext,
  req: IncomingMessage,
  res: ServerResponse,
  sha256: string,
) {
  checkHash(sha256);
  if (Number(req.headers["content-length"] ?? 0) > blobMaxBytes)
    throw new Problem("TOO_LARGE", `A blob has at most ${blobMaxBytes} bytes`);
  const blob = await blobs.put(bodyOf(req, bodyIdleMs), { expectSha256: sha256, maxBytes: blobMaxBytes });
  sendJson(res, blob.known ? 200 : 201, { sha256, sizeBytes: blob.sizeBytes });
}

/** `HEAD` and `GET /v1/blobs/{sha256}`, with one range. */
export async function getBlob({ blobs }: BlobContext, req: IncomingMessage, res: ServerResponse, sha256: string) {
  checkHash(sha256);
  const sizeBytes = await blobs.size(sha256);
  if (sizeBytes === null) throw new Problem("NOT_FOUND", "The runner does not have this blob");
  await blobs.touch(sha256);
  const range = readRange(req.headers.range, sizeBytes);
  const headers = { "content-type": "application/octet-stream", "accept-ranges": "bytes", etag: `"${sha256}"` };
  if (range) {
    const { start, end } = range;
    res.writeHead(206, {
      ...headers,
      "content-length": end - start + 1,
      "content-range": `bytes ${start}-${end}/${sizeBytes}`,
    });
  } else res.writeHead(200, { ...headers, "content-length": sizeBytes });
  if (req.method === "HEAD") res.end();
  else await pipeline(blobs.read(sha256, range ?? undefined), res);
}

function checkHash(sha256: string): void {
  if (!isSha256(sha256)) throw new Problem("INVALID", "A SHA-256 is 64 lower-case hexadecimal digits");
}

/** One range of bytes; null for all of them. Forms that are not understood are passed over, as HTTP has it. */
function readRange(header: string | undefined, sizeBytes: number): { start: number; end: number } | null {
  const match = /^bytes=(\d{1,15})-(\d{0,15})$/.exec(header ?? "");
  if (!match) return null;
  const start = Number(match[1]);
  const end = match[2] ? Math.min(Number(match[2]), sizeBytes - 1) : sizeBytes - 1;
  if (start > end)
    throw new Problem("RANGE_NOT_SATISFIABLE", "The blob is not so long", {
      headers: { "content-range": `bytes */${sizeBytes}` },
    });
  return { start, end };
}
