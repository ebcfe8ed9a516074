import { createHash, hash } from "node:crypto";
import { stat } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { StoredAfar } from "@maia/db";
import { MaiaError } from "@maia/domain";
import type { BlobStore } from "@maia/storage";
import type { Request } from "express";
import { type Coming, fetchAfar, type Part } from "../afar/fetch-afar.js";
import { isKnown } from "./precondition.js";
import { HttpProblem } from "./problems.js";
import type { Call } from "./route.js";

/** A file to be served: its bytes are at hand, in the blob store, or in the store of a runner. */
export interface Download {
  readonly name: string;
  readonly mime: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly content: Uint8Array | null;
  /** Where the bytes are, if a runner keeps them. */
  readonly afar?: StoredAfar | null;
}

/** Up to here a file is read once before it is served, so that damage is found before anything is sent. In bytes. */
const VERIFY_MAX = 64 * 1_024 * 1_024;

/** Serves a file as what it is: data to be saved, exactly the bytes that were hashed (G19), or a part of them. */
export async function serveFile(call: Call, file: Download): Promise<void> {
  const { res, context } = call;
  const req = call.req as Request;
  const etag = `"${file.sha256}"`;
  res.attachment(file.name.split("/").at(-1) || "file");
  res.setHeader("Content-Type", safeMime(file.mime));
  res.setHeader("Content-Security-Policy", "sandbox; default-src 'none'");
  res.setHeader("Cache-Control", "private, no-cache");
  res.setHeader("Accept-Ranges", "bytes");
  res.setHeader("ETag", etag);
  if (isKnown(req, etag)) {
    res.removeHeader("Content-Type");
    res.status(304).end();
    return;
  }
  const range = readRange(req, file);
  const part = range ?? { start: 0, end: file.sizeBytes - 1 };
  const { start, end } = part;
  const isWanted = req.method !== "HEAD" && file.sizeBytes > 0;
  using coming = file.afar && isWanted ? await fetchAfar(context, file.afar, part) : null;
  if (!file.afar) await requireIntact(context.blobs, file);
  res.status(range ? 206 : 200).setHeader("Content-Length", end - start + 1);
  if (range) res.setHeader("Content-Range", `bytes ${start}-${end}/${file.sizeBytes}`);
  if (!isWanted) res.end();
  else if (coming) await passOn(call, file, coming, part);
  else if (file.content) res.end(file.content.subarray(start, end + 1));
  else await sendBlob(call, file, range ? { start, end } : undefined);
}

/** One range is served; several, or what is none, get the whole. @throws {HttpProblem} RANGE_NOT_SATISFIABLE. */
function readRange(req: Request, { sizeBytes, sha256 }: Download): { start: number; end: number } | null {
  const condition = req.headers["if-range"];
  if (condition !== undefined && condition !== `"${sha256}"`) return null;
  const ranges = req.range(sizeBytes);
  if (ranges === -1) {
    throw new HttpProblem("RANGE_NOT_SATISFIABLE", "The range lies outside of the file", {
      "Content-Range": `bytes */${sizeBytes}`,
    });
  }
  if (ranges === undefined || ranges === -2 || ranges.type !== "bytes" || ranges.length !== 1) return null;
  return ranges[0]!;
}

/** Files that were found intact, by their hash, with what the disk said of them then. */
const intact = new Map<string, string>();
const INTACT_MAX = 10_000;

async function requireIntact(blobs: BlobStore, { sha256, sizeBytes, content }: Download): Promise<void> {
  if (content) {
    if (hash("sha256", content) !== sha256) throw corrupt();
    return;
  }
  const found = await stat(blobs.path(sha256)).catch(() => null);
  if (found?.size !== sizeBytes) throw corrupt();
  const seal = `${found.ino} ${found.mtimeMs} ${found.ctimeMs}`;
  if (sizeBytes > VERIFY_MAX || intact.get(sha256) === seal) return;
  if (!(await blobs.verify(sha256))) throw corrupt();
  if (intact.size >= INTACT_MAX) intact.clear();
  intact.set(sha256, seal);
}

function corrupt(): MaiaError {
  return new MaiaError("ARTIFACT_CORRUPT", "The stored bytes are not those that were recorded, so they are not served");
}

async function sendBlob({ res, context }: Call, file: Download, range?: { start: number; end: number }): Promise<void> {
  const source = context.blobs.read(file.sha256, range);
  const isUnverified = !range && file.sizeBytes > VERIFY_MAX;
  await toReader(isUnverified ? Readable.from(unlessCorrupt(source, file.sha256)) : source, res);
}

async function toReader(source: Readable, res: Call["res"]): Promise<void> {
  await pipeline(source, res).catch((error) => {
    if (error?.code !== "ERR_STREAM_PREMATURE_CLOSE") throw error; // the reader has gone
  });
}

/** Passes on what a runner sends: exactly as many bytes as were asked for, and the whole only with its hash. */
async function passOn({ res }: Call, file: Download, coming: Coming, part: Part): Promise<void> {
  const isWhole = part.end - part.start + 1 === file.sizeBytes;
  const all = exactly(coming.bytes, part.end - part.start + 1);
  res.once("close", () => coming.bytes.destroy()); // a generator that waits for bytes does not notice that nobody does
  await toReader(Readable.from(isWhole ? unlessCorrupt(all, file.sha256) : all), res);
  if (res.writableFinished) coming.succeed();
}

/** @throws where more or fewer bytes come. */
async function* exactly(source: Readable, sizeBytes: number): AsyncGenerator<Buffer> {
  let seen = 0;
  for await (const chunk of source as AsyncIterable<Buffer>) {
    seen += chunk.length;
    if (seen > sizeBytes) throw corrupt();
    yield chunk;
  }
  if (seen < sizeBytes) throw corrupt();
}

/** Hashes as it passes on, and keeps the last piece back: damaged bytes end in a broken transfer, never in a whole file. */
async function* unlessCorrupt(source: AsyncIterable<Buffer>, sha256: string): AsyncGenerator<Buffer> {
  const digest = createHash("sha256");
  let held: Buffer | null = null;
  for await (const chunk of source) {
    if (held) yield held;
    digest.update(chunk);
    held = chunk;
  }
  if (digest.digest("hex") !== sha256) throw corrupt();
  if (held) yield held;
}

/** A media type that fits in a header. */
function safeMime(mime: string): string {
  return /^[\w.+-]+\/[\w.+-]+(; ?charset=[\w-]+)?$/.test(mime) ? mime : "application/octet-stream";
}
