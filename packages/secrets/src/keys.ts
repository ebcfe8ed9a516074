import { createHash, randomBytes } from "node:crypto";
import { link, open, readFile, rm } from "node:fs/promises";
import { ConfigError, type Env, readOptional } from "@maia/service";

/** A key that secrets are encrypted with, and the name under which a row remembers it. */
export interface SecretKey {
  readonly id: string;
  readonly bytes: Uint8Array;
}

const KEY_BYTES = 32;
const HOW_TO_MAKE = "make one with: openssl rand -base64 32";

/**
 * The keys in MAIA_SECRET_KEY, separated by commas: the first encrypts, all of them decrypt. Null where it is unset.
 * @throws {ConfigError} without showing what it holds.
 */
export function readSecretKeys(env: Env): readonly SecretKey[] | null {
  const text = readOptional(env, "MAIA_SECRET_KEY");
  return text === null ? null : parseKeys(text, "MAIA_SECRET_KEY");
}

/**
 * The keys in the data directory's file, one a line. Without a file there are none, unless one is to be made.
 * @throws {ConfigError} where the file holds something else.
 */
export async function keysInFile(path: string, make: boolean): Promise<readonly SecretKey[]> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    throw error;
  });
  if (text !== null) return parseKeys(text, path);
  if (!make) return [];
  await makeFile(path);
  return keysInFile(path, false);
}

/** Two processes may need the first key at once: the file appears whole, and once. */
async function makeFile(path: string): Promise<void> {
  const draft = `${path}.${process.pid}-${randomBytes(6).toString("hex")}`;
  try {
    const file = await open(draft, "wx", 0o600);
    try {
      await file.writeFile(`${randomBytes(KEY_BYTES).toString("base64")}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(draft, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error; // another process was faster
    });
  } finally {
    await rm(draft, { force: true });
  }
}

function parseKeys(text: string, where: string): SecretKey[] {
  const parts = text.split(/[\s,]+/).filter((part) => part !== "");
  if (parts.length === 0) throw new ConfigError(`${where} holds no key; ${HOW_TO_MAKE}`);
  return parts.map((part) => {
    const bytes = decode(part);
    if (bytes.length !== KEY_BYTES)
      throw new ConfigError(
        `${where} must hold keys of 32 bytes, in base64 or as 64 hexadecimal digits; ${HOW_TO_MAKE}`,
      );
    return { id: idOf(bytes), bytes };
  });
}

function decode(text: string): Uint8Array {
  if (/^[0-9a-fA-F]{64}$/.test(text)) return Buffer.from(text, "hex");
  if (/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) return Buffer.from(text, "base64");
  return new Uint8Array();
}

/** Says which key it is and nothing about what it is. */
function idOf(bytes: Uint8Array): string {
  return createHash("sha256").update("maia secret key\0").update(bytes).digest("hex").slice(0, 16);
}
