import type { IncomingMessage } from "node:http";
import { MaiaError } from "@maia/domain";
import got, { type Request } from "got";
import { pinnedAgents } from "./agent.js";
import { blocked, type Resolve, systemResolve, type Target, vet } from "./guard.js";
import type { UrlAllow } from "./url-allow.js";

/** Milliseconds, bytes, counts. */
export interface DownloadLimits {
  /** Bytes of the body as sent. */
  readonly wireMax: number;
  /** From the first look-up to the last byte, all redirects included. */
  readonly totalMs: number;
  readonly redirectsMax: number;
  readonly connectMs?: number;
  /** The longest silence, before the first byte and between any two. */
  readonly idleMs?: number;
}

export interface DownloadOptions<T> {
  readonly limits: DownloadLimits;
  readonly allow: UrlAllow;
  /** Takes the bytes, once. What it gives is part of the answer; when it fails, so does the download. */
  readonly sink: (bytes: AsyncIterable<Uint8Array>) => Promise<T>;
  readonly signal?: AbortSignal;
  readonly resolve?: Resolve;
}

/** A download that did not work out; the message is for the one who gave the URL. */
export class DownloadError extends Error {
  override readonly name = "DownloadError";
}

const CONNECT_MS = 10_000;
const IDLE_MS = 30_000;
const HEADERS_MAX = 32 * 1_024;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/**
 * Fetches a URL that somebody else chose, and streams its body into a sink. Every hop is vetted anew.
 * @throws {MaiaError} URL_BLOCKED where the guard refuses, TOO_LARGE above the limit.
 * @throws {DownloadError} on all else that goes wrong out there.
 */
export async function download<T extends object>(
  url: string,
  options: DownloadOptions<T>,
): Promise<T & { mime: string }> {
  const { limits, signal } = options;
  const late = AbortSignal.timeout(limits.totalMs);
  const stop = signal ? AbortSignal.any([signal, late]) : late;
  try {
    return await follow(url, options, stop);
  } catch (error) {
    signal?.throwIfAborted();
    if (late.aborted) throw new DownloadError(`It took longer than ${limits.totalMs} ms`, { cause: error });
    throw explained(error);
  }
}

async function follow<T extends object>(
  text: string,
  options: DownloadOptions<T>,
  stop: AbortSignal,
): Promise<T & { mime: string }> {
  const { allow, limits, resolve = systemResolve } = options;
  for (let hop = 0, next = text; hop <= limits.redirectsMax; hop++) {
    const target = await untilAborted(vet(next, allow, resolve), stop);
    const stream = request(target, limits, stop);
    try {
      const response = await head(stream);
      if (!REDIRECTS.has(response.statusCode ?? 0)) return await take(stream, response, options);
      next = redirectedTo(target.url, response);
    } finally {
      stream.destroy();
    }
  }
  throw blocked(`More than ${limits.redirectsMax} redirects`);
}

/** One request for raw bytes: no redirects, retries, cookies, decompression or proxy of got's own. */
function request(
  target: Target,
  { connectMs = CONNECT_MS, idleMs = IDLE_MS }: DownloadLimits,
  signal: AbortSignal,
): Request {
  return got.stream(target.url.href, {
    agent: pinnedAgents(target, connectMs),
    followRedirect: false,
    throwHttpErrors: false,
    decompress: false,
    enableUnixSockets: false,
    retry: { limit: 0 },
    timeout: { response: connectMs + idleMs, socket: idleMs },
    maxHeaderSize: HEADERS_MAX,
    headers: { "accept-encoding": "identity", "user-agent": "maia" },
    signal,
  });
}

function head(stream: Request): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    stream.once("response", resolve);
    stream.once("error", reject);
  });
}

function redirectedTo(from: URL, response: IncomingMessage): string {
  const location = response.headers.location;
  const to = location === undefined ? null : URL.parse(location, from.href);
  if (!to) throw new DownloadError(`The server answered ${response.statusCode} without saying where to`);
  if (from.protocol === "https:" && to.protocol === "http:")
    throw blocked("A redirect must not lead from https: to http:");
  return to.href;
}

async function take<T extends object>(
  stream: Request,
  response: IncomingMessage,
  options: DownloadOptions<T>,
): Promise<T & { mime: string }> {
  const { statusCode = 0, headers } = response;
  if (statusCode < 200 || statusCode > 299 || statusCode === 206)
    throw new DownloadError(`The server answered ${statusCode}`);
  const encoding = headers["content-encoding"] ?? "identity";
  if (encoding !== "identity")
    throw new DownloadError(`The server sent it encoded (${encoding.slice(0, 40)}), though asked not to`);
  const { wireMax } = options.limits;
  if (Number(headers["content-length"] ?? 0) > wireMax) throw tooLarge(wireMax);
  return { ...(await options.sink(counted(stream, wireMax))), mime: mimeOf(headers["content-type"]) };
}

async function* counted(stream: AsyncIterable<Uint8Array>, wireMax: number): AsyncGenerator<Uint8Array> {
  let wire = 0;
  for await (const chunk of stream) {
    wire += chunk.byteLength;
    if (wire > wireMax) throw tooLarge(wireMax);
    yield chunk;
  }
}

function tooLarge(wireMax: number): MaiaError {
  return new MaiaError("TOO_LARGE", `It is larger than ${wireMax} bytes`);
}

/** The type without its parameters; what is malformed is bytes. */
function mimeOf(contentType = ""): string {
  const essence = contentType.split(";")[0]!.trim().toLowerCase();
  return /^[\w.+-]{1,60}\/[\w.+-]{1,60}$/.test(essence) ? essence : "application/octet-stream";
}

/** A look-up cannot be called off, so its answer is no longer waited for. */
function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/** What the guard, the sink or we ourselves said stands; what got says is put in plain words. */
function explained(error: unknown): unknown {
  if (!(error instanceof Error) || !("options" in error)) return dnsFailure(error) ?? error;
  if (error.cause instanceof MaiaError) return error.cause;
  return new DownloadError(error.message, { cause: error });
}

function dnsFailure(error: unknown): DownloadError | null {
  const { syscall, hostname, code } = error as NodeJS.ErrnoException & { hostname?: string };
  if (syscall !== "getaddrinfo") return null;
  return new DownloadError(`${hostname} could not be looked up (${code})`, { cause: error });
}
