import { ProtocolError } from "./protocol-error.js";

/** The version of the protocol that this package speaks. Within a major version, unknown fields and types are ignored. */
export const PROTOCOL_VERSION = "1.0";

/** The header that names the version a side speaks; without it, the first one. */
export const PROTOCOL_HEADER = "maia-protocol";
/** The header that names the ledger: on every answer of a runner, and on a request that is meant for that ledger only. */
export const LEDGER_HEADER = "maia-ledger";
/** The header with the secret of an attempt, on the calls of a runner that dials out which are about that attempt. */
export const ATTEMPT_TOKEN_HEADER = "maia-attempt-token";
/** The header with the generation of the instance that a runner that dials out speaks as, on its calls after hello. */
export const GENERATION_HEADER = "maia-generation";
/** The header that says why the bytes of a transfer cannot be had, percent-encoded; the body counts for nothing then. */
export const TRANSFER_PROBLEM_HEADER = "maia-transfer-problem";
/**
 * The header by which a caller says that it will name its attempts at `POST /v1/exec/alive`, at least every so many
 * milliseconds. Then an open connection alone keeps no process tree alive.
 */
export const ALIVE_HEADER = "maia-alive-ms";

/** Makes sure that the other side speaks our major version. @throws {ProtocolError} bad_version */
export function checkProtocolVersion(version: string | undefined): void {
  if (version === undefined) return;
  const major = /^(\d{1,6})(\.\d{1,6})?$/.exec(version)?.[1];
  if (major !== PROTOCOL_VERSION.split(".")[0]) {
    throw new ProtocolError(
      "bad_version",
      `protocol version ${version.slice(0, 20)} is not supported; this is ${PROTOCOL_VERSION}`,
    );
  }
}
