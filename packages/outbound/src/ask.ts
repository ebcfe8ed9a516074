import type { IncomingMessage } from "node:http";
import { MaiaError } from "@maia/domain";
import got, { type Request } from "got";
import { pinnedAgents } from "./agent.js";
import { DownloadError } from "./download-error.js";
import { blocked, type Target, vet } from "./guard.js";
import { type Resolve, systemResolve } from "./resolve.js";
import type { UrlAllow } from "./url-allow.js";

const CONNECT_MS = 10_000;
const IDLE_MS = 30_000;
const HEADERS_MAX = 32 * 1_024;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** Answers that ask for another try, sooner or later. */
const PASSING_STATUS = new Set([408, 425, 429, 500, 502, 503, 504]);
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

/** What is asked for, and within what. */
export interface Question {
  readonly url: string;
  readonly allow: UrlAllow;
  readonly limits: DownloadLimits;
  readonly resolve?: Resolve;
  readonly stop: AbortSignal;
}

/** A server's answer to a request for the bytes from some place on. */
export interface Answer {
  readonly stream: Request;
  readonly headers: IncomingMessage["headers"];
  readonly totalBytes: number | null;
}

/** Asks for the bytes from `from` on, through redirects. */
export async function ask(
  { url, allow, limits, resolve = systemResolve, stop }: Question,
  from: number,
  proof: string | null,
): Promise<Answer> {
  for (let hop = 0, next = url; hop <= limits.redirectsMax; hop++) {
    const target = await untilAborted(vet(next, allow, resolve), stop);
    const range = proof === null ? {} : { range: `bytes=${from}-`, "if-range": proof };
    const stream = request(target, limits, range, stop);
    let isTaken = false;
    try {
      const response = await head(stream);
      if (!REDIRECTS.has(response.statusCode ?? 0)) {
        const answer = accept(stream, response, limits, from);
        isTaken = true;
        return answer;
      }
      next = redirectedTo(target.url, response);
    } finally {
      if (!isTaken) stream.destroy();
    }
  }
  throw blocked(`More than ${limits.redirectsMax} redirects`);
}

/** One request for raw bytes: no redirects, retries, cookies, decompression or proxy of got's own. */
function request(
  target: Target,
  { connectMs = CONNECT_MS, idleMs = IDLE_MS }: DownloadLimits,
  range: { readonly [header: string]: string },
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
    headers: { "accept-encoding": "identity", "user-agent": "maia", ...range },
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
  if (!to) throw new DownloadError(`The server answered ${response.statusCode} without saying where to`, false);
  if (from.protocol === "https:" && to.protocol === "http:")
    throw blocked("A redirect must not lead from https: to http:");
  return to.href;
}

/** Judges an answer by its head. */
function accept(
  stream: Request,
  { statusCode = 0, headers }: IncomingMessage,
  limits: DownloadLimits,
  from: number,
): Answer {
  if (from > 0 && statusCode === 200) throw new DownloadError("It has changed while it was downloaded", true);
  if (
    statusCode !== (from > 0 ? 206 : 200) &&
    !(from === 0 && statusCode > 200 && statusCode < 300 && statusCode !== 206)
  )
    throw new DownloadError(`The server answered ${statusCode}`, PASSING_STATUS.has(statusCode));
  const encoding = headers["content-encoding"] ?? "identity";
  if (encoding !== "identity")
    throw new DownloadError(`The server sent it encoded (${encoding.slice(0, 40)}), though asked not to`, false);
  if (from > 0 && !(headers["content-range"] ?? "").startsWith(`bytes ${from}-`))
    throw new DownloadError("The server went on at another place than it was asked to", true);
  const length = headers["content-length"] === undefined ? null : Number(headers["content-length"]);
  if (from + (length ?? 0) > limits.wireMax) throw tooLarge(limits.wireMax);
  return { stream, headers, totalBytes: length === null ? null : from + length };
}

export function tooLarge(wireMax: number): MaiaError {
  return new MaiaError("TOO_LARGE", `It is larger than ${wireMax} bytes`);
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
