/** Problem codes that the API answers with. `apps/api/src/problems.ts` gives each its HTTP status. */
export type ErrorCode =
  | "BAD_JSON"
  | "TOO_DEEP"
  | "BAD_CURSOR"
  | "BAD_REQUEST"
  | "UNAUTHENTICATED"
  | "FORBIDDEN"
  | "NOT_FOUND"
  | "METHOD_NOT_ALLOWED"
  | "STATE_CONFLICT"
  | "NO_VERSION"
  | "RUNNER_MANAGED"
  | "RUNNER_NOT_ALLOWED"
  | "RUNNER_NOT_CONNECTED"
  | "RUNNER_VERSION_UNSUPPORTED"
  | "CONTENT_GONE"
  | "IDEMPOTENCY_IN_PROGRESS"
  | "EVENTS_EXPIRED"
  | "PRECONDITION"
  | "TOO_LARGE"
  | "UNSUPPORTED_MEDIA"
  | "RANGE_NOT_SATISFIABLE"
  | "MISDIRECTED"
  | "INVALID"
  | "RESERVED_KEY"
  | "CYCLE"
  | "HASH_MISMATCH"
  | "BLOB_UNKNOWN"
  | "URL_BLOCKED"
  | "IDEMPOTENCY_KEY_REUSED"
  | "RATE_LIMITED"
  | "INTERNAL"
  | "ARTIFACT_CORRUPT"
  | "VERSION_CORRUPT"
  | "BUSY"
  | "STORAGE_FULL";

/** Why a run or an attempt failed. */
export type FailureCode =
  | "STEP_EXIT_CODE"
  | "STEP_SIGNAL"
  | "STEP_TIMEOUT"
  | "STEP_OOM"
  | "STEP_SPAWN_FAILED"
  | "OUTPUT_INVALID"
  | "DEPS_INSTALL_FAILED"
  | "INPUT_DOWNLOAD_FAILED"
  | "QUEUE_TIMEOUT"
  | "RUNNER_LOST"
  | "RUNNER_QUEUE_TIMEOUT"
  | "RUNNER_NOT_ALLOWED"
  | "DRAIN_TIMEOUT"
  | "CANCELED"
  | "INTERNAL";

/** One thing wrong with an input. The pointer is a JSON Pointer (RFC 6901), relative to the request body. */
export interface InputIssue {
  readonly pointer: string;
  readonly message: string;
  /** Of a table's cell: the row as a spreadsheet counts it. */
  readonly row?: number;
}

/** A failure that its reader can act on. Whatever is no MaiaError is a bug: logged, never shown. */
export class MaiaError extends Error {
  override readonly name = "MaiaError";
  readonly issues: readonly InputIssue[];

  constructor(
    readonly code: ErrorCode,
    message: string,
    options?: ErrorOptions & { issues?: readonly InputIssue[] },
  ) {
    super(message, options);
    this.issues = options?.issues ?? [];
  }
}

/** An input that parses but is wrong, with a pointer for each thing wrong with it. */
export function invalid(issues: readonly InputIssue[], code: ErrorCode = "INVALID"): MaiaError {
  const [first] = issues;
  const where = first?.pointer ? `${first.pointer}: ` : "";
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : "";
  return new MaiaError(code, `${where}${first?.message ?? "The input is invalid"}${more}`, { issues });
}

/** An error whose faults are in something that stands at `pointer`: the same, seen from outside. Others stay as they are. */
export function below(pointer: string, error: unknown): unknown {
  if (!isMaiaError(error) || error.issues.length === 0) return error;
  return invalid(
    error.issues.map((issue) => ({ ...issue, pointer: pointer + issue.pointer })),
    error.code,
  );
}

/** True for a MaiaError, also one made by another copy of this package. */
export function isMaiaError(error: unknown): error is MaiaError {
  return error instanceof Error && error.name === "MaiaError" && typeof (error as MaiaError).code === "string";
}
