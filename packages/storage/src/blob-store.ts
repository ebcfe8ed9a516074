import { createHash, hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { MaiaError } from "@maia/domain";
import { hashOf, ifThere, isDiskFull, storageFull, syncFolder, writeAll } from "./files.js";
import { removeLeftovers, tempName } from "./temp-files.js";
import { type Appended, type UploadName, type UploadPart, Uploads } from "./uploads.js";

/** What was put. `known`: the same bytes were there before. */
export interface StoredBlob {
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly known: boolean;
}

export interface PutOptions {
  /** Bytes with another hash are refused. */
  readonly expectSha256?: string;
  readonly maxBytes?: number;
  readonly signal?: AbortSignal;
}

export interface BlobInfo {
  readonly sha256: string;
  readonly sizeBytes: number;
  /** When the blob was last put. */
  readonly putAt: Date;
}

type Bytes = AsyncIterable<Uint8Array> | Uint8Array;

/**
 * Bytes by their SHA-256, in `blobs/ab/cdef…`. A blob is whole and on disk, or it is not there: it is written beside,
 * flushed, renamed into place, and the rename is flushed too.
 */
export class BlobStore {
  readonly #dir: string;
  readonly #tmp: string;
  readonly #madeFolders = new Set<string>();
  /** What has come so far of blobs that come in parts. */
  readonly uploads: Uploads;

  private constructor(dir: string, tmp: string) {
    this.#dir = dir;
    this.#tmp = tmp;
    this.uploads = new Uploads(tmp);
  }

  /**
   * Opens the store, removes what interrupted puts left in `tmp`, which must be on the same file system, and lets
   * interrupted uploads be taken up.
   */
  static async open(dir: string, tmp: string): Promise<BlobStore> {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await mkdir(tmp, { recursive: true, mode: 0o700 });
    await removeLeftovers(tmp, Date.now());
    return new BlobStore(dir, tmp);
  }

  /** Where the blob lies, or would. @throws {MaiaError} INVALID on what is no hash. */
  path(sha256: string): string {
    if (!/^[0-9a-f]{64}$/.test(sha256))
      throw new MaiaError("INVALID", "A SHA-256 is 64 hexadecimal digits in lower case");
    return join(this.#dir, sha256.slice(0, 2), sha256.slice(2));
  }

  async has(sha256: string): Promise<boolean> {
    return (await this.size(sha256)) !== null;
  }

  /** The size in bytes, or null where the blob is not known. */
  async size(sha256: string): Promise<number | null> {
    return (await ifThere(stat(this.path(sha256))))?.size ?? null;
  }

  /**
   * Keeps the bytes; when the promise resolves they survive a power cut. Putting known bytes makes them young again.
   * @throws {MaiaError} HASH_MISMATCH, TOO_LARGE, STORAGE_FULL. Whatever is thrown, nothing is left behind.
   */
  async put(source: Bytes, options: PutOptions = {}): Promise<StoredBlob> {
    options.signal?.throwIfAborted();
    const known = source instanceof Uint8Array ? await this.#putKnown(source, options) : null;
    if (known) return known;
    const temp = join(this.#tmp, tempName());
    try {
      const written = await writeDurably(temp, source, options);
      return await this.#settle(temp, written);
    } catch (error) {
      throw isDiskFull(error) ? storageFull(error) : error;
    } finally {
      await rm(temp, { force: true });
    }
  }

  /**
   * Keeps a part of a blob of `total` bytes. The last part makes the blob, if all bytes together have the hash that they
   * came under. @throws {MaiaError} HASH_MISMATCH, which drops all parts; what `Uploads.append` throws.
   */
  async putPart(name: UploadName, part: UploadPart, total: number): Promise<Appended<StoredBlob>> {
    return this.uploads.append(name, part, total, async (path) => {
      try {
        await using file = await open(path, "r+");
        const blob = { sha256: await hashOf(file), sizeBytes: total };
        check(blob, { expectSha256: name.sha256 });
        await file.sync();
        return await this.#settle(path, blob);
      } finally {
        await rm(path, { force: true });
      }
    });
  }

  /** The bytes, or those from `start` up to and including `end`. They stay readable when the blob is removed meanwhile. */
  read(sha256: string, range?: { start: number; end: number }): Readable {
    return createReadStream(this.path(sha256), { highWaterMark: 256 * 1_024, ...range });
  }

  /** True if the blob is there and its bytes still have its hash. */
  async verify(sha256: string): Promise<boolean> {
    await using file = await ifThere(open(this.path(sha256), "r"));
    return file !== null && (await hashOf(file)) === sha256;
  }

  /** Makes a blob young again, so that garbage collection leaves it alone. False: it is not there. */
  async touch(sha256: string): Promise<boolean> {
    const now = new Date();
    return (await ifThere(utimes(this.path(sha256), now, now).then(() => true))) ?? false;
  }

  /**
   * Removes a blob that nobody has put or touched since `before`. One that somebody puts at this very moment stays: it is
   * taken aside, looked at, and put back if it has become young. False: it stayed, or was not there.
   */
  async removeUnused(sha256: string, before: Date): Promise<boolean> {
    const [path, aside] = [this.path(sha256), join(this.#tmp, tempName())];
    const found = await ifThere(stat(path));
    if (!found || found.mtime >= before) return false;
    if (!(await ifThere(rename(path, aside).then(() => true)))) return false;
    const isYoung = (await stat(aside)).mtime >= before;
    if (isYoung) await rename(aside, path);
    else await rm(aside);
    return !isYoung;
  }

  async remove(sha256: string): Promise<void> {
    await rm(this.path(sha256), { force: true });
  }

  /** Every blob, in no order, for garbage collection. */
  async *list(): AsyncGenerator<BlobInfo> {
    for (const folder of await readdir(this.#dir)) {
      for (const rest of (await ifThere(readdir(join(this.#dir, folder)))) ?? []) {
        const sha256 = folder + rest;
        const found = /^[0-9a-f]{64}$/.test(sha256) ? await ifThere(stat(this.path(sha256))) : null;
        if (found) yield { sha256, sizeBytes: found.size, putAt: found.mtime };
      }
    }
  }

  /** Bytes at hand need no file to be hashed, so known ones cost one look at the disk. */
  async #putKnown(bytes: Uint8Array, options: PutOptions): Promise<StoredBlob | null> {
    const blob = { sha256: hash("sha256", bytes), sizeBytes: bytes.byteLength };
    check(blob, options);
    const known = (await this.size(blob.sha256)) === blob.sizeBytes && (await this.touch(blob.sha256));
    return known ? { ...blob, known } : null;
  }

  /** Renames the file into place. A known blob of another size was damaged from outside, and is replaced. */
  async #settle(temp: string, blob: { sha256: string; sizeBytes: number }): Promise<StoredBlob> {
    if ((await this.size(blob.sha256)) === blob.sizeBytes && (await this.touch(blob.sha256)))
      return { ...blob, known: true };
    const path = this.path(blob.sha256);
    const folder = dirname(path);
    if (!this.#madeFolders.has(folder)) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await syncFolder(this.#dir);
      this.#madeFolders.add(folder);
    }
    await rename(temp, path);
    await syncFolder(folder);
    return { ...blob, known: false };
  }
}

async function writeDurably(path: string, source: Bytes, options: PutOptions) {
  const digest = createHash("sha256");
  let sizeBytes = 0;
  await using file = await open(path, "wx", 0o600);
  for await (const chunk of source instanceof Uint8Array ? [source] : source) {
    options.signal?.throwIfAborted();
    sizeBytes += chunk.byteLength;
    checkSize(sizeBytes, options);
    digest.update(chunk);
    await writeAll(file, chunk);
  }
  options.signal?.throwIfAborted();
  const blob = { sha256: digest.digest("hex"), sizeBytes };
  check(blob, options);
  await file.sync();
  return blob;
}

function check({ sha256, sizeBytes }: { sha256: string; sizeBytes: number }, options: PutOptions): void {
  checkSize(sizeBytes, options);
  if (options.expectSha256 !== undefined && options.expectSha256 !== sha256) {
    throw new MaiaError("HASH_MISMATCH", `The bytes have SHA-256 ${sha256}, not ${options.expectSha256}`);
  }
}

function checkSize(sizeBytes: number, { maxBytes = Number.POSITIVE_INFINITY }: PutOptions): void {
  if (sizeBytes > maxBytes) throw new MaiaError("TOO_LARGE", `The content is larger than ${maxBytes} bytes`);
}
