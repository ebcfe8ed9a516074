import type { IncomingMessage } from "node:http";
import { MaiaError, parseJsonStrictly } from "@maia/domain";
import { HttpProblem } from "./problems.js";

/** Limits of a JSON body. */
export interface BodyLimits {
  readonly maxBytes: number;
  readonly depthMax: number;
  /** How long the body may take to arrive, in milliseconds. */
  readonly timeoutMs: number;
}

/** True if the request says that a body comes with it. */
export function hasBody(req: IncomingMessage): boolean {
  if (req.headers["transfer-encoding"] !== undefined) return true;
  const length = req.headers["content-length"];
  return length !== undefined && length !== "0";
}

/** The media type of the body, in lower case, and its parameters. */
export function mediaType(req: IncomingMessage): { type: string; charset: string | null } {
  const [type = "", ...parameters] = (req.headers["content-type"] ?? "").split(";");
  const charset = parameters
    .map((parameter) => /^\s*charset\s*=\s*"?([^"\s]*)"?\s*$/i.exec(parameter)?.[1])
    .find(Boolean);
  return { type: type.trim().toLowerCase(), charset: charset?.toLowerCase() ?? null };
}

/**
 * Reads a JSON body from its bytes.
 * @throws {MaiaError} BAD_JSON, TOO_DEEP, TOO_LARGE, UNSUPPORTED_MEDIA, INVALID; {HttpProblem} REQUEST_TIMEOUT.
 */
export async function readJson(req: IncomingMessage, limits: BodyLimits): Promise<unknown> {
  if (!hasBody(req)) throw new MaiaError("BAD_JSON", "The body is empty, but must be JSON");
  const { type, charset } = mediaType(req);
  if (type !== "application/json" && !/^application\/[\w.-]+\+json$/.test(type)) {
    throw new MaiaError("UNSUPPORTED_MEDIA", `The body must be application/json, not ${type || "without a type"}`);
  }
  if (charset !== null && charset !== "utf-8" && charset !== "utf8") {
    throw new MaiaError("UNSUPPORTED_MEDIA", "JSON is UTF-8; other charsets are not understood");
  }
  refuseEncoding(req);
  return parseJsonStrictly(decodeUtf8(await readBytes(req, limits)), limits.depthMax);
}

/** Compressed bodies are refused, so that nobody has to guess what they unpack to. */
export function refuseEncoding(req: IncomingMessage): void {
  const encoding = req.headers["content-encoding"];
  if (encoding !== undefined && encoding.toLowerCase() !== "identity") {
    throw new MaiaError("UNSUPPORTED_MEDIA", "Compressed bodies are not understood");
  }
}

/** Text from bytes. @throws {MaiaError} BAD_JSON where they are no UTF-8. */
export function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new MaiaError("BAD_JSON", "The body is no UTF-8");
  }
}

/** The body as text. @throws {MaiaError} TOO_LARGE, BAD_JSON where it is no UTF-8; {HttpProblem} REQUEST_TIMEOUT. */
export async function readText(req: IncomingMessage, limits: Omit<BodyLimits, "depthMax">): Promise<string> {
  return hasBody(req) ? decodeUtf8(await readBytes(req, limits)) : "";
}

/** The whole body, unless it is too large or too slow. */
function readBytes(req: IncomingMessage, { maxBytes, timeoutMs }: Omit<BodyLimits, "depthMax">): Promise<Buffer> {
  const tooLarge = () => new MaiaError("TOO_LARGE", `The body is larger than ${maxBytes} bytes`);
  if (Number(req.headers["content-length"] ?? 0) > maxBytes) return Promise.reject(tooLarge());
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const settle = (error: Error | null) => {
      clearTimeout(timer);
      req.off("data", onData).off("end", onEnd).off("close", onClose).off("error", onClose);
      if (error) reject(error);
      else resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks));
    };
    const onData = (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxBytes) settle(tooLarge());
      else chunks.push(chunk);
    };
    const onEnd = () => settle(null);
    const onClose = () => settle(new HttpProblem("BAD_REQUEST", "The body broke off"));
    const late = () => settle(new HttpProblem("REQUEST_TIMEOUT", `The body did not arrive within ${timeoutMs} ms`));
    const timer = setTimeout(late, timeoutMs);
    req.on("data", onData).on("end", onEnd).on("close", onClose).on("error", onClose);
  });
}
