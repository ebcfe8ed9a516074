import { RequestError } from "got";
import type { Connection } from "./config.js";
import { CliError, type Problem } from "./errors.js";
import { exitCodeOf, exitCodes } from "./exit-codes.js";

/** What an answer of 3xx and above means for the command. */
export function refusal(connection: Connection, status: number, body: string): CliError {
  const problem = readProblem(status, body);
  const hint = status === 401 ? keyHint(connection) : hintFor(problem);
  return new CliError(exitCodeOf(status), problem.detail, { problem, hint });
}

/** What it means that no answer came; errors that have nothing to do with it stay what they are. */
export function failure({ url }: Connection, error: unknown): unknown {
  if (!(error instanceof RequestError) || error instanceof CliError) return error;
  if (error.options.signal?.aborted) return error;
  if (error.cause instanceof CliError) return error.cause; // of the body that was to be sent
  const hint =
    error.code === "ECONNREFUSED" ? "Start it with `maia up`, or name its address with --url or MAIA_URL" : null;
  return new CliError(exitCodes.unreachable, `Maia cannot be reached at ${url.origin} (${error.code})`, {
    hint,
    cause: error,
  });
}

function keyHint({ apiKey, keyFrom }: Connection): string {
  if (apiKey !== null) return `The key came from ${keyFrom}. Maia does not know it, or it was revoked`;
  return "Set MAIA_API_KEY, or MAIA_DATA_DIR to the data directory of a Maia on this machine";
}

function readProblem(status: number, body: string): Problem {
  try {
    const problem = JSON.parse(body) as Partial<Problem>;
    if (problem.code && problem.detail)
      return { title: problem.detail, ...problem, status, code: problem.code, detail: problem.detail };
  } catch {
    // not one of Maia's own answers
  }
  const detail = status === 404 ? "There is no such thing" : `The server answered ${status}`;
  return { title: detail, status, code: `HTTP_${status}`, detail };
}

function hintFor({ code }: Problem): string | null {
  switch (code) {
    case "IDEMPOTENCY_IN_PROGRESS":
      return "The same request is still being carried out; ask again with the same key";
    case "IDEMPOTENCY_KEY_REUSED":
      return "Use another --idempotency-key for another request";
    case "NO_VERSION":
      return "Publish it first: `maia apply -f FILE`";
    case "FORBIDDEN":
      return "The role of your API key does not allow this";
    default:
      return null;
  }
}
