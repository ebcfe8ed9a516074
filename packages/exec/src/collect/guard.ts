import { closeSync, constants, fstatSync, openSync, read, readlinkSync, readSync } from "node:fs";
import { promisify } from "node:util";

const readAsync = promisify(read);
const CHUNK_BYTES = 256 * 1024;
/** What the kernel adds to the path of an open file whose name is gone. */
const REMOVED = " (deleted)";

/** Says why a file that a step left is not taken. The words follow "the file …". */
export class NotTaken extends Error {
  override readonly name = "NotTaken";
}

/** A file that was found to lie where it may, held open, so that nothing can be put in its place any more. */
export interface GuardedFile extends Disposable {
  readonly sizeBytes: number;
  /** The bytes from their beginning. @throws {NotTaken} when there turn out to be more than allowed. */
  readonly bytes: () => AsyncGenerator<Uint8Array>;
  readonly text: () => string;
}

/**
 * Opens a file that a step may have made a trap of. Links are not followed, pipes not waited for, and what was opened is
 * asked where it lies: all checks are about the open file and not about its name.
 * @throws {NotTaken}
 */
export function openGuarded(path: string, folder: string, maxBytes: number): GuardedFile {
  const fd = openHere(path);
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw new NotTaken("is no regular file");
    if (stat.nlink !== 1) throw new NotTaken("has more than one name (a hard link) or was removed");
    // Asked after the number of names: a name that is there now was there all the time, and so was the only one.
    const real = readlinkSync(`/proc/self/fd/${fd}`);
    if (real.endsWith(REMOVED)) throw new NotTaken("was removed");
    if (!real.startsWith(`${folder}/`)) throw new NotTaken("lies outside of the attempt's folder");
    if (stat.size > maxBytes) throw new NotTaken(`is larger than ${maxBytes} bytes`);
    return {
      sizeBytes: stat.size,
      bytes: () => readBounded(fd, maxBytes),
      text: () => readText(fd, maxBytes),
      [Symbol.dispose]: () => closeSync(fd),
    };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function openHere(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") throw new NotTaken("does not exist");
    if (code === "ELOOP") throw new NotTaken("is a symbolic link");
    throw new NotTaken(`cannot be read (${code})`);
  }
}

async function* readBounded(fd: number, maxBytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; ; ) {
    const { bytesRead, buffer } = await readAsync(fd, Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    if (at > maxBytes) throw new NotTaken(`is larger than ${maxBytes} bytes`);
    yield buffer.subarray(0, bytesRead);
  }
}

/** Reads a small file at once; what grows meanwhile is cut at the limit by the caller's size check. */
function readText(fd: number, maxBytes: number): string {
  const parts: Buffer[] = [];
  for (let at = 0; ; ) {
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    const length = readSync(fd, buffer, 0, CHUNK_BYTES, at);
    if (length === 0) return Buffer.concat(parts).toString("utf8");
    at += length;
    if (at > maxBytes) throw new NotTaken(`is larger than ${maxBytes} bytes`);
    parts.push(buffer.subarray(0, length));
  }
}
