import { isId, isInteger, isObject, isSha256 } from "../checks.js";
import type { Command, FramesAnswer, PollAnswer, Welcome } from "../gateway.js";
import type { IssuedToken } from "./access-token.js";
import { GatewayError } from "./gateway-problems.js";

/** Reads the answer to a hello. @throws {GatewayError} UNREACHABLE, as does every function here. */
export function parseWelcome(body: string): Welcome {
  const { instanceId, generation, heartbeatMs } = parse(body);
  if (!isId(instanceId) || !isInteger(generation, 0) || !isInteger(heartbeatMs, 1)) throw noGateway("its hello");
  return { instanceId, generation, heartbeatMs };
}

/** Reads what the gateway says of itself. */
export function parseProtocol(body: string): string {
  const { protocol } = parse(body);
  if (typeof protocol !== "string") throw noGateway("a question for its protocol");
  return protocol;
}

/** Reads the answer to a poll. Commands that cannot be carried out as they stand count as unknown. */
export function parsePollAnswer(body: string): PollAnswer {
  const { tasks, commands, openTransactions: open } = parse(body);
  if (!Array.isArray(tasks) || !Array.isArray(commands)) throw noGateway("a poll");
  const openTransactions = isInteger(open, 0) ? open : 0; // an older gateway says nothing of them
  return { tasks, commands: commands.flatMap((command) => parseCommand(command) ?? []), openTransactions };
}

export function parseFramesAnswer(body: string): FramesAnswer {
  const { ackedSeq, ended } = parse(body);
  if (!isInteger(ackedSeq, 0) || typeof ended !== "boolean") throw noGateway("frames");
  return { ackedSeq, ended };
}

/** Reads which content may be removed. */
export function parseUnused(body: string): readonly string[] {
  const { unused } = parse(body);
  if (!Array.isArray(unused) || !unused.every(isSha256)) throw noGateway("a question for unused content");
  return unused;
}

/** Reads the answer to an exchange of credentials (RFC 6749, 5.1). */
export function parseToken(body: string): IssuedToken {
  const { access_token: text, expires_in: seconds } = parse(body);
  if (typeof text !== "string" || !/^[\x21-\x7e]{1,8192}$/.test(text)) throw noGateway("a request for a token");
  return { text, lifetimeMs: typeof seconds === "number" && seconds > 0 ? seconds * 1_000 : 60_000 };
}

function parseCommand(value: unknown): Command | null {
  if (!isObject(value) || typeof value.id !== "string" || value.id === "") return null;
  const { id, type, attemptId, mode, token, host, port, timeoutMs } = value;
  if (type === "STOP" || type === "RESTART") return { id, type };
  if (type === "CANCEL" && isId(attemptId) && (mode === "stop" || mode === "kill"))
    return { id, type, attemptId, mode, token: typeof token === "string" ? token : null };
  if (type === "CONNECTIVITY" && typeof host === "string" && isInteger(port, 1))
    return { id, type, host, port, timeoutMs: isInteger(timeoutMs, 1) ? timeoutMs : null };
  return parseStoreCommand(value, id) ?? { id, type: "UNKNOWN" };
}

/** A command about the runner's own store. Null: it is none, or cannot be carried out as it stands. */
function parseStoreCommand(value: { readonly [name: string]: unknown }, id: string): Command | null {
  const { type, storeId, transferId, sha256, sizeBytes, start, end } = value;
  if (!isId(storeId)) return null;
  if (type === "SEND" && isId(transferId) && isSha256(sha256) && isInteger(sizeBytes, 1)) {
    const isPart = isInteger(start, 0) && isInteger(end, start) && end < sizeBytes;
    return isPart ? { id, type, storeId, transferId, sha256, sizeBytes, start, end } : null;
  }
  const { name, mime } = value;
  if (type === "RECEIVE" && isId(transferId)) {
    const text = (told: unknown) => (typeof told === "string" ? told : null);
    return { id, type, storeId, transferId, name: text(name), mime: text(mime) };
  }
  const { url, wireMax, totalMs, redirectsMax, retryMs } = value;
  const isBounded = isInteger(wireMax, 0) && isInteger(totalMs, 1) && isInteger(redirectsMax, 0);
  if (type !== "FETCH" || typeof url !== "string" || !isBounded || !Array.isArray(retryMs)) return null;
  const waits = retryMs.filter((wait): wait is number => isInteger(wait, 0));
  return { id, type, storeId, url, wireMax, totalMs, redirectsMax, retryMs: waits };
}

function parse(body: string): { readonly [name: string]: unknown } {
  try {
    const value: unknown = JSON.parse(body);
    if (isObject(value)) return value;
  } catch {
    // said below
  }
  throw noGateway("a request");
}

function noGateway(what: string): GatewayError {
  const message = `what answers at the gateway's address is no Maia gateway: ${what} is not answered as the protocol says`;
  return new GatewayError("UNREACHABLE", message);
}
