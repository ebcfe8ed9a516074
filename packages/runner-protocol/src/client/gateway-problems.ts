import { isObject } from "../checks.js";

/** Why the gateway did not do what it was asked to. */
export type GatewayErrorCode =
  | "UNREACHABLE" // no answer, or one by which nobody can tell what became of the request
  | "BUSY" // come back later
  | "CREDENTIALS_REFUSED" // the client's id or secret is not right
  | "UNAUTHENTICATED" // a fresh access token is refused
  | "SUPERSEDED" // another process speaks for this instance
  | "ATTEMPT_ENDED" // kill the tree and drop the spool
  | "BLOB_MISSING" // bytes that frames name are not there yet
  | "NOT_FOUND" // no such instance, attempt or content, or it is somebody else's
  | "VERSION_UNSUPPORTED" // another major version of the protocol
  | "REFUSED"; // the request is not acceptable, and will not be

export class GatewayError extends Error {
  override readonly name = "GatewayError";
  /** The hashes that are missing, with BLOB_MISSING. */
  readonly missing: readonly string[];
  /** How long to stay away, where the gateway says so. In milliseconds. */
  readonly retryAfterMs: number | null;

  constructor(
    readonly code: GatewayErrorCode,
    message: string,
    options: ErrorOptions & { missing?: readonly string[]; retryAfterMs?: number | null } = {},
  ) {
    super(message, options);
    this.missing = options.missing ?? [];
    this.retryAfterMs = options.retryAfterMs ?? null;
  }
}

const OF_PROBLEM: { readonly [code: string]: GatewayErrorCode } = {
  SUPERSEDED: "SUPERSEDED",
  ATTEMPT_ENDED: "ATTEMPT_ENDED",
  BLOB_MISSING: "BLOB_MISSING",
  NOT_FOUND: "NOT_FOUND",
  RUNNER_VERSION_UNSUPPORTED: "VERSION_UNSUPPORTED",
  UNAUTHENTICATED: "UNAUTHENTICATED",
};

/**
 * What a refusing answer means. Only a problem document with a code is the gateway's own word: a proxy's page for a 404
 * must not end an attempt.
 */
export function errorOfGateway(status: number, body: string, retryAfter: string | undefined): GatewayError {
  const problem = parse(body);
  const { code, detail, missing } = problem;
  const known = typeof code === "string" && Object.hasOwn(OF_PROBLEM, code) ? OF_PROBLEM[code] : undefined;
  const message = typeof detail === "string" && detail !== "" ? detail.slice(0, 2_000) : `status ${status}`;
  const hashes = Array.isArray(missing) ? missing.filter((hash): hash is string => typeof hash === "string") : [];
  if (known) return new GatewayError(known, message, { missing: hashes });
  if (status === 401) return new GatewayError("UNAUTHENTICATED", message);
  if (status === 429 || status === 503) return new GatewayError("BUSY", message, { retryAfterMs: afterMs(retryAfter) });
  const isOwn = typeof code === "string" && (status === 400 || status === 403 || status === 413 || status === 422);
  return new GatewayError(isOwn ? "REFUSED" : "UNREACHABLE", message);
}

/** The failure of a request that got no answer. */
export function gatewayUnreachable(error: unknown): GatewayError {
  if (error instanceof GatewayError) return error;
  const { code, message } = error as { code?: unknown; message?: unknown };
  const detail = [code, message].filter((part) => typeof part === "string" && part !== "").join(": ");
  return new GatewayError("UNREACHABLE", `the gateway cannot be reached (${detail || String(error)})`, {
    cause: error,
  });
}

function afterMs(header: string | undefined): number | null {
  return header !== undefined && /^\d{1,6}$/.test(header) ? Number(header) * 1_000 : null;
}

function parse(body: string): { readonly [name: string]: unknown } {
  try {
    const value: unknown = JSON.parse(body);
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}
