import { STATUS_CODES } from "node:http";
import { type ErrorCode, type InputIssue, isMaiaError } from "@maia/domain";

/** Problems that only HTTP has. */
type HttpCode =
  | "REQUEST_TIMEOUT"
  | "URI_TOO_LONG"
  | "HEADERS_TOO_LARGE"
  | "STOPPING"
  | "SUPERSEDED"
  | "ATTEMPT_ENDED"
  | "BLOB_MISSING";

export type ProblemCode = ErrorCode | HttpCode;

/** The HTTP status of every problem. A code without one does not compile. */
const statusOf = {
  BAD_JSON: 400,
  TOO_DEEP: 400,
  BAD_CURSOR: 400,
  BAD_REQUEST: 400,
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  REQUEST_TIMEOUT: 408,
  STATE_CONFLICT: 409,
  NO_VERSION: 409,
  RUNNER_MANAGED: 409,
  RUNNER_NOT_ALLOWED: 409,
  RUNNER_VERSION_UNSUPPORTED: 409,
  SUPERSEDED: 409,
  ATTEMPT_ENDED: 409,
  IDEMPOTENCY_IN_PROGRESS: 409,
  CONTENT_GONE: 410,
  EVENTS_EXPIRED: 410,
  PRECONDITION: 412,
  BLOB_MISSING: 412,
  TOO_LARGE: 413,
  URI_TOO_LONG: 414,
  UNSUPPORTED_MEDIA: 415,
  RANGE_NOT_SATISFIABLE: 416,
  MISDIRECTED: 421,
  INVALID: 422,
  RESERVED_KEY: 422,
  CYCLE: 422,
  HASH_MISMATCH: 422,
  BLOB_UNKNOWN: 422,
  URL_BLOCKED: 422,
  IDEMPOTENCY_KEY_REUSED: 422,
  RATE_LIMITED: 429,
  HEADERS_TOO_LARGE: 431,
  INTERNAL: 500,
  ARTIFACT_CORRUPT: 500,
  VERSION_CORRUPT: 500,
  BUSY: 503,
  RUNNER_NOT_CONNECTED: 503,
  STOPPING: 503,
  STORAGE_FULL: 507,
} as const satisfies Record<ProblemCode, number>;

export const problemCodes = Object.keys(statusOf) as ProblemCode[];

/** Problems that pass by themselves, and after how many seconds it is worth asking again. */
const retryAfter: Partial<Record<ProblemCode, number>> = {
  IDEMPOTENCY_IN_PROGRESS: 1,
  RATE_LIMITED: 10,
  BUSY: 1,
  RUNNER_NOT_CONNECTED: 30,
  STOPPING: 5,
  STORAGE_FULL: 30,
};

/** A request that fails for a reason that only HTTP knows. */
export class HttpProblem extends Error {
  override readonly name = "HttpProblem";
  constructor(
    readonly code: ProblemCode,
    message: string,
    readonly headers: Readonly<Record<string, string>> = {},
    /** What the document says besides. */
    readonly members: Readonly<Record<string, unknown>> = {},
  ) {
    super(message);
  }
}

/** An RFC 9457 problem, ready to be sent. */
export interface Problem {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** The HTTP status of a failure. */
export function statusOfProblem(error: unknown): number {
  return error instanceof HttpProblem || isMaiaError(error) ? statusOf[error.code] : statusOf.INTERNAL;
}

/** What the outside world may know about a failure. Anything that is no problem of ours is INTERNAL and says nothing. */
export function describeProblem(error: unknown, requestId: string): Problem {
  if (error instanceof HttpProblem) {
    const { code, message, headers, members } = error;
    return problem(code, message, requestId, [], headers, members);
  }
  if (isMaiaError(error)) return problem(error.code, error.message, requestId, error.issues);
  return problem("INTERNAL", "Something went wrong on our side. The log has more under this requestId", requestId);
}

/** True for a failure that is Maia's own, to be logged. */
export function isOurFault(error: unknown): boolean {
  if (error instanceof HttpProblem) return false;
  return !isMaiaError(error) || statusOf[error.code] === 500;
}

function problem(
  code: ProblemCode,
  detail: string,
  requestId: string,
  errors: readonly InputIssue[] = [],
  more: Readonly<Record<string, string>> = {},
  extra: Readonly<Record<string, unknown>> = {},
): Problem {
  const status = statusOf[code];
  const members = { ...extra, type: "about:blank", title: STATUS_CODES[status], status, code, detail, requestId };
  const seconds = retryAfter[code];
  return {
    status,
    headers: {
      "Content-Type": "application/problem+json",
      ...(status === 401 ? { "WWW-Authenticate": 'Bearer realm="maia"' } : {}),
      ...(seconds ? { "Retry-After": String(seconds) } : {}),
      ...more,
    },
    body: JSON.stringify(errors.length > 0 ? { ...members, errors } : members),
  };
}
