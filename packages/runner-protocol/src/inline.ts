import { isObject, isSha256 } from "./checks.js";
import { badField } from "./protocol-error.js";

/** Content that travels in the body of a task, by its SHA-256, and so needs no request of its own. */
export type Inline = ReadonlyMap<string, Uint8Array>;

/** Most bytes that are worth sending along with a task; more is sent by hash. */
export const MAX_INLINE_BYTES = 65_536;

const MAX_INLINE_ITEMS = 64;

/** The body of a task with content in it: a field `inline` that maps hashes to base64. Runners may pass over it. */
export function withInline(task: object, inline: Inline): object {
  if (inline.size === 0) return task;
  return { ...task, inline: Object.fromEntries([...inline].map(([sha256, bytes]) => [sha256, toBase64(bytes)])) };
}

/** The content in the body of a task. Whoever uses it checks the hashes. @throws {ProtocolError} bad_task */
export function parseInline(body: unknown): Inline {
  const inline = isObject(body) ? body.inline : undefined;
  if (inline === undefined || inline === null) return new Map();
  if (!isObject(inline)) throw badField("bad_task", "inline", "must be an object");
  const entries = Object.entries(inline);
  if (entries.length > MAX_INLINE_ITEMS)
    throw badField("bad_task", "inline", `must have at most ${MAX_INLINE_ITEMS} members`);
  return new Map(entries.map(([sha256, text]) => [checkedHash(sha256), fromBase64(sha256, text)]));
}

function checkedHash(sha256: string): string {
  if (!isSha256(sha256)) throw badField("bad_task", "inline", "must name its content by SHA-256");
  return sha256;
}

function fromBase64(sha256: string, text: unknown): Uint8Array {
  if (typeof text === "string" && text.length <= Math.ceil(MAX_INLINE_BYTES / 3) * 4) {
    try {
      return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
    } catch {
      // refused below
    }
  }
  throw badField("bad_task", `inline.${sha256}`, `must be at most ${MAX_INLINE_BYTES} bytes in base64`);
}

function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}
