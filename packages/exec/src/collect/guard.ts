import {
  closeSync,
  constants,
  type Dir,
  fstatSync,
  opendirSync,
  openSync,
  read,
  readlinkSync,
  readSync,
} from "node:fs";
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

/** Opens a name without opening what it names: nothing happens to a device, and a pipe is not waited for. */
const O_PATH = 0o10000000;
const NAME_ONLY = O_PATH | constants.O_NOFOLLOW;

/**
 * Opens a file that a step may have made a trap of. Every folder on the way is opened by its name within the one before,
 * and no link is followed; what the last name stands for is looked at before it is opened.
 * @throws {NotTaken}
 */
export function openGuarded(path: string, folder: string, maxBytes: number): GuardedFile {
  const name = openName(path, folder, NAME_ONLY);
  try {
    const stat = fstatSync(name);
    if (stat.isSymbolicLink()) throw new NotTaken("is a symbolic link");
    if (!stat.isFile()) throw new NotTaken("is no regular file");
    if (stat.nlink !== 1) throw new NotTaken("has more than one name (a hard link) or was removed");
    // Asked after the number of names: a name that is there now was there all the time, and so was the only one.
    const real = readlinkSync(`/proc/self/fd/${name}`);
    if (real.endsWith(REMOVED)) throw new NotTaken("was removed");
    if (!real.startsWith(`${folder}/`)) throw new NotTaken("lies outside of the attempt's folder");
    if (stat.size > maxBytes) throw new NotTaken(`is larger than ${maxBytes} bytes`);
    const fd = openSync(`/proc/self/fd/${name}`, constants.O_RDONLY | constants.O_NOCTTY);
    return {
      sizeBytes: stat.size,
      bytes: () => readBounded(fd, maxBytes),
      text: () => readText(fd, maxBytes),
      [Symbol.dispose]: () => closeSync(fd),
    };
  } finally {
    closeSync(name);
  }
}

/** Opens a folder that a step may have made a trap of, in the same way. @throws {NotTaken} */
export function openGuardedFolder(path: string, folder: string): { readonly dir: Dir } & Disposable {
  const name = openName(path, folder, NAME_ONLY | constants.O_DIRECTORY);
  try {
    const dir = opendirSync(`/proc/self/fd/${name}`);
    return { dir, [Symbol.dispose]: () => dir.closeSync() };
  } finally {
    closeSync(name);
  }
}

/** Walks from the folder to the path's last name. */
function openName(path: string, folder: string, flags: number): number {
  const parts = path.startsWith(`${folder}/`) ? path.slice(folder.length + 1).split("/") : [];
  if (parts.length === 0 || parts.some((part) => part === ".." || part === "." || part === ""))
    throw new NotTaken("lies outside of the attempt's folder");
  let at = openPart(folder, NAME_ONLY | constants.O_DIRECTORY);
  for (const [index, part] of parts.entries()) {
    const isLast = index === parts.length - 1;
    try {
      at = swap(at, openPart(`/proc/self/fd/${at}/${part}`, isLast ? flags : NAME_ONLY | constants.O_DIRECTORY));
    } catch (error) {
      closeSync(at);
      throw error;
    }
  }
  return at;
}

function swap(old: number, fresh: number): number {
  closeSync(old);
  return fresh;
}

function openPart(path: string, flags: number): number {
  try {
    return openSync(path, flags);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") throw new NotTaken("does not exist");
    if (code === "ELOOP" || code === "ENOTDIR") throw new NotTaken("lies behind a link, or in what is no folder");
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
    if (length === 0) return decode(Buffer.concat(parts));
    at += length;
    if (at > maxBytes) throw new NotTaken(`is larger than ${maxBytes} bytes`);
    parts.push(buffer.subarray(0, length));
  }
}

/** Text must be what it says: bytes that are no UTF-8 would otherwise be replaced without a word. */
function decode(bytes: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new NotTaken("is no UTF-8");
  }
}
