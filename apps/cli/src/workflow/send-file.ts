import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import type { ApiClient } from "../api-client.js";
import { CliError, invalid } from "../errors.js";
import { exitCodes } from "../exit-codes.js";

const MIB = 1_024 * 1_024;
/** Larger files go in parts: what is smaller is soon sent again. In bytes. */
const PARTS_FROM = 8 * MIB;
/** Small enough for what proxies let through and for one request's time, large enough that requests do not matter. */
const PART = 64 * MIB;
const READ = 256 * 1_024;
/** How long to wait before each further try, in milliseconds; anew once bytes have arrived. */
const WAITS_MS = [250, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 30_000];
/** How long the server may say nothing: it hashes and flushes the whole once it is there, at this many bytes a second at least. */
const SILENCE_MS = 45_000;
const HASHED_PER_MS = 20_000;
/** Answers that another try may change. */
const PASSING = new Set([408, 409, 429, 500, 502, 503, 504]);

export interface FileToSend {
  readonly path: string;
  readonly sizeBytes: number;
}

/** Who hears how it goes. */
export interface Listener {
  sent(bytes: number): void;
  broke(error: CliError, waitMs: number): void;
}

/** Sends a file to its place. A large one goes on from where it was when the connection breaks, or an earlier command did. */
export async function sendFile(api: ApiClient, address: string, file: FileToSend, listener: Listener): Promise<void> {
  if (file.sizeBytes <= PARTS_FROM) return api.putFile(address, file.path, file.sizeBytes);
  let waits = [...WAITS_MS];
  let reached = 0;
  let mayBeginAnew = true;
  for (;;) {
    try {
      for (let from = await api.uploadOffset(address); from !== null; ) {
        if (from > file.sizeBytes) return await api.putFile(address, file.path, file.sizeBytes);
        if (from > reached) [reached, waits] = [from, [...WAITS_MS]];
        from = await sendPart(api, address, file, from, listener);
      }
      return;
    } catch (error) {
      if (!(error instanceof CliError)) throw error;
      if (error.problem.code === "HASH_MISMATCH" && mayBeginAnew && reached > 0) {
        [mayBeginAnew, reached] = [false, 0]; // an earlier command may have sent other bytes
        continue;
      }
      const waitMs = isPassing(error) ? waits.shift() : undefined;
      if (waitMs === undefined) throw error;
      listener.broke(error, waitMs);
      await pause(waitMs);
    }
  }
}

function isPassing({ exitCode, problem }: CliError): boolean {
  return exitCode === exitCodes.unreachable || PASSING.has(problem.status ?? 0);
}

async function sendPart(
  api: ApiClient,
  address: string,
  file: FileToSend,
  from: number,
  listener: Listener,
): Promise<number | null> {
  const part = { from, to: Math.min(from + PART, file.sizeBytes), total: file.sizeBytes };
  const bytes = Readable.from(bytesOf(file.path, part.from, part.to, listener), { objectMode: false });
  try {
    return await api.putPart(address, bytes, part, SILENCE_MS + file.sizeBytes / HASHED_PER_MS);
  } finally {
    bytes.destroy();
  }
}

/** The bytes of a part, telling of each as it is taken. @throws {CliError} where the file has become shorter. */
async function* bytesOf(path: string, from: number, to: number, listener: Listener): AsyncGenerator<Buffer> {
  let at = from;
  if (from < to)
    for await (const chunk of createReadStream(path, { start: from, end: to - 1, highWaterMark: READ })) {
      yield chunk;
      at += chunk.length;
      listener.sent(at);
    }
  if (at < to) throw invalid(`${path} has become shorter while it was sent`);
}
