import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { MaiaError } from "@maia/domain";

/** What hashing reads at once, in bytes. */
const PIECE = 1_024 * 1_024;

/** What a promise gives, or null where the file that it is about is not there. */
export async function ifThere<T>(promise: Promise<T>): Promise<T | null> {
  try {
    return await promise;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    throw error;
  }
}

/** Writes all of it: one write may take less than it was given. */
export async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let at = 0; at < chunk.byteLength; ) at += (await file.write(chunk, at)).bytesWritten;
}

/** The SHA-256 of a file, read to its end. */
export async function hashOf(file: FileHandle): Promise<string> {
  const digest = createHash("sha256");
  for await (const chunk of file.createReadStream({ start: 0, autoClose: false, highWaterMark: PIECE }))
    digest.update(chunk);
  return digest.digest("hex");
}

/** A rename survives a power cut only after its folder is flushed. */
export async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, "r");
  await folder.sync();
}

/** True for the errors of a full disk or an exhausted quota. */
export function isDiskFull(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  return code === "ENOSPC" || code === "EDQUOT" || code === "SQLITE_FULL";
}

export function storageFull(cause: unknown): MaiaError {
  return new MaiaError("STORAGE_FULL", "The disk that holds Maia's data is full", { cause });
}
