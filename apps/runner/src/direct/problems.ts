import type { IncomingMessage, ServerResponse } from "node:http";
import { ExecutorError, type ExecutorErrorCode, ProtocolError } from "@maia/runner-protocol";

/** Codes of answers that are no answer to a task. */
type OwnCode =
  | "BAD_JSON"
  | "PROTOCOL_UNSUPPORTED"
  | "UNAUTHENTICATED"
  | "NOT_FOUND"
  | "METHOD_NOT_ALLOWED"
  | "TIMEOUT"
  | "TOO_LARGE"
  | "UNSUPPORTED_MEDIA"
  | "RANGE_NOT_SATISFIABLE"
  | "INVALID"
  | "HASH_MISMATCH"
  | "URL_BLOCKED"
  | "INTERNAL"
  | "STORAGE_FULL";

export type ProblemCode = OwnCode | Exclude<ExecutorErrorCode, "UNREACHABLE" | "REFUSED">;

const STATUS: { readonly [code in ProblemCode]: number } = {
  BAD_JSON: 400,
  PROTOCOL_UNSUPPORTED: 400,
  UNAUTHENTICATED: 401,
  NOT_FOUND: 404,
  ATTEMPT_UNKNOWN: 404,
  METHOD_NOT_ALLOWED: 405,
  TIMEOUT: 408,
  STALE_EPOCH: 409,
  ATTEMPT_LOST: 409,
  LEDGER_CHANGED: 409,
  ISOLATION_UNAVAILABLE: 409,
  BLOB_MISSING: 412,
  TOO_LARGE: 413,
  UNSUPPORTED_MEDIA: 415,
  RANGE_NOT_SATISFIABLE: 416,
  INVALID: 422,
  HASH_MISMATCH: 422,
  URL_BLOCKED: 422,
  INTERNAL: 500,
  BUSY: 503,
  STORAGE_FULL: 507,
};

/** A refusal that the caller can act on. Whatever else is thrown is a bug: logged, never shown. */
export class Problem extends Error {
  override readonly name = "Problem";

  constructor(
    readonly code: ProblemCode,
    message: string,
    readonly options: { readonly headers?: { readonly [name: string]: string }; readonly extra?: object } = {},
  ) {
    super(message);
  }
}

/** What an error means to the caller; null: it is a bug. */
export function problemOf(error: unknown): Problem | null {
  if (error instanceof Problem) return error;
  if (error instanceof ProtocolError) {
    const code = error.code === "bad_version" ? "PROTOCOL_UNSUPPORTED" : "INVALID";
    return new Problem(
      code,
      error.message,
      error.field === null ? {} : { extra: { errors: [{ pointer: pointer(error.field), message: error.message }] } },
    );
  }
  if (error instanceof ExecutorError) {
    const { code, message, missing } = error;
    if (code === "REFUSED") return new Problem("INVALID", message);
    if (code === "UNREACHABLE") return null;
    if (code === "BUSY") return new Problem(code, message, { headers: { "retry-after": "1" } });
    return new Problem(code, message, code === "BLOB_MISSING" ? { extra: { missing } } : {});
  }
  const { name, code } = (error ?? {}) as { name?: unknown; code?: unknown };
  if (name === "MaiaError" && typeof code === "string" && code in STATUS)
    return new Problem(code as ProblemCode, (error as Error).message);
  return null;
}

/** Answers with a problem document. Where a body is still coming, the connection ends with the answer. */
export function sendProblem(req: IncomingMessage, res: ServerResponse, { code, message, options }: Problem): void {
  const status = STATUS[code];
  const body = JSON.stringify({ type: "about:blank", title: code, status, code, detail: message, ...options.extra });
  const headers = {
    "content-type": "application/problem+json",
    "content-length": Buffer.byteLength(body),
    ...options.headers,
  };
  const isUnread = !req.complete && hasBody(req);
  res.writeHead(status, isUnread ? { ...headers, connection: "close" } : headers);
  res.end(req.method === "HEAD" ? undefined : body);
  if (isUnread) endAfter(req);
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

/** How long a caller may go on sending a body that nobody wants, so that it can read the answer. In milliseconds. */
const LINGER_MS = 2_000;

function endAfter(req: IncomingMessage): void {
  req.resume();
  setTimeout(() => req.socket.destroy(), LINGER_MS).unref();
}

/** `files[2].path` as a JSON Pointer. */
function pointer(field: string): string {
  return `/${field
    .replaceAll("~", "~0")
    .replaceAll("/", "~1")
    .replace(/\[(\d+)\]/g, ".$1")
    .replaceAll(".", "/")}`;
}
