import { isObject } from "../checks.js";
import { ExecutorError, type ExecutorErrorCode } from "../executor.js";

/** Codes that a runner answers with and that mean the same to whoever asked. */
const CODES: ReadonlySet<string> = new Set<ExecutorErrorCode>([
  "STALE_EPOCH",
  "ATTEMPT_LOST",
  "ATTEMPT_UNKNOWN",
  "BLOB_MISSING",
  "BUSY",
  "ISOLATION_UNAVAILABLE",
  "LEDGER_CHANGED",
]);

/**
 * What a refusing answer means. An answer by which nobody can tell whether the task was taken, such as a proxy's 502, is
 * no better than none.
 */
export function errorOfAnswer(status: number, body: string): ExecutorError {
  const problem = parseProblem(body);
  const { code, detail } = problem;
  const message =
    typeof detail === "string" && detail !== "" ? detail.slice(0, 2_000) : `The runner answered with status ${status}`;
  if (typeof code === "string" && CODES.has(code)) {
    return new ExecutorError(code as ExecutorErrorCode, message, { missing: missingOf(problem) });
  }
  if (status === 401 || status === 403) {
    return new ExecutorError(
      "UNREACHABLE",
      "The runner refuses the token; RUNNER_TOKEN must be the same on both sides",
    );
  }
  const refused =
    status === 400 || status === 404 || status === 405 || status === 413 || status === 415 || status === 422;
  return new ExecutorError(refused ? "REFUSED" : "UNREACHABLE", message);
}

function parseProblem(body: string): { readonly [name: string]: unknown } {
  try {
    const value: unknown = JSON.parse(body);
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

function missingOf({ missing }: { readonly [name: string]: unknown }): string[] {
  return Array.isArray(missing) ? missing.filter((hash): hash is string => typeof hash === "string") : [];
}

/** The failure of a request that got no answer. */
export function unreachable(error: unknown): ExecutorError {
  if (error instanceof ExecutorError) return error;
  const { code, message } = error as { code?: unknown; message?: unknown };
  const detail = [code, message].filter((part) => typeof part === "string" && part !== "").join(": ");
  return new ExecutorError("UNREACHABLE", `The runner cannot be reached (${detail || String(error)})`, {
    cause: error,
  });
}
