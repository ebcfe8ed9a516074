import { open } from "node:fs/promises";
import { refineMime, UNKNOWN_MIME } from "@maia/domain";
import { fileTypeFromFile } from "file-type";
import { lookup } from "mime-types";

const SAMPLE_BYTES = 8_192;

/** What somebody says about a file. */
export interface MimeClaims {
  readonly declared?: string | null;
  readonly name?: string | null;
}

/** The media type of a file by its bytes; its sender and its name are heard where the bytes leave it open. */
export async function sniffMime(path: string, { declared = null, name = null }: MimeClaims): Promise<string> {
  return refineMime(await looksLike(path), [declared, (name !== null && lookup(name)) || null]);
}

async function looksLike(path: string): Promise<string> {
  // A file that only resembles a format, or breaks off within its head, is of no format.
  const found = await fileTypeFromFile(path).catch(() => undefined);
  if (found) return found.mime;
  return (await isText(path)) ? "text/plain" : UNKNOWN_MIME;
}

/** True when the beginning is UTF-8 without control characters that text does not have. */
async function isText(path: string): Promise<boolean> {
  await using file = await open(path, "r");
  const { bytesRead, buffer } = await file.read(Buffer.alloc(SAMPLE_BYTES), 0, SAMPLE_BYTES, 0);
  const sample = buffer.subarray(0, bytesRead);
  if (sample.some((byte) => byte < 9 || (byte > 13 && byte < 27))) return false;
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(sample, { stream: bytesRead === SAMPLE_BYTES });
    return true;
  } catch {
    return false;
  }
}
