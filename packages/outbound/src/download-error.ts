import { MaiaError } from "@maia/domain";

/** A download that did not work out; the message is for the one who gave the URL. */
export class DownloadError extends Error {
  override readonly name = "DownloadError";

  constructor(
    message: string,
    /** True: it may work when it is tried again. */
    readonly isPassing: boolean,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** What goes wrong on a network by itself. A certificate or an answer that is none does not get better. */
const PASSING_CODES = new Set([
  ...["ECONNRESET", "ECONNREFUSED", "ECONNABORTED", "ETIMEDOUT", "EPIPE", "EAI_AGAIN"],
  ...["ETIMEOUT", "ESERVFAIL", "EREFUSED"],
  "ERR_HTTP_CONTENT_LENGTH_MISMATCH",
]);

/** What the guard, the sink or we ourselves said stands; what got says is put in plain words. */
export function explained(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof DownloadError) return error;
  if (!("options" in error)) return dnsFailure(error) ?? error;
  if (error.cause instanceof MaiaError) return error.cause;
  return new DownloadError(error.message, PASSING_CODES.has((error as NodeJS.ErrnoException).code ?? ""), {
    cause: error,
  });
}

/** What looks a name up: the system's resolver, or DNS servers that were named. */
const LOOK_UPS = new Set(["getaddrinfo", "queryA", "queryAaaa"]);

function dnsFailure(error: Error): DownloadError | null {
  const { syscall, hostname, code } = error as NodeJS.ErrnoException & { hostname?: string };
  if (!LOOK_UPS.has(syscall ?? "")) return null;
  return new DownloadError(`${hostname} could not be looked up (${code})`, PASSING_CODES.has(code ?? ""), {
    cause: error,
  });
}
