/** What the exit codes of `maia` mean. They are part of its contract. */
export const exitCodes = {
  ok: 0,
  unexpected: 1,
  usage: 2,
  notFound: 3,
  auth: 4,
  conflict: 5,
  invalid: 6,
  unreachable: 7,
  rateLimited: 8,
  runFailed: 10,
  runCanceled: 11,
  waitTimedOut: 12,
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** The exit code for an answer of the API. */
export function exitCodeOf(httpStatus: number): ExitCode {
  switch (httpStatus) {
    case 401:
    case 403:
      return exitCodes.auth;
    case 404:
      return exitCodes.notFound;
    case 409:
    case 412:
      return exitCodes.conflict;
    case 429:
      return exitCodes.rateLimited;
    case 502:
    case 503:
    case 504:
      return exitCodes.unreachable;
    default:
      return httpStatus >= 400 && httpStatus < 500 ? exitCodes.invalid : exitCodes.unexpected;
  }
}

/** The exit code for how a run or job ended. */
export function exitCodeOfRun(status: string): ExitCode {
  if (status === "SUCCEEDED") return exitCodes.ok;
  return status === "CANCELED" ? exitCodes.runCanceled : exitCodes.runFailed;
}
