import { type FileHandle, open, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { MaiaError } from "@maia/domain";
import { ifThere, isDiskFull, storageFull, writeAll } from "./files.js";
import { tempName } from "./temp-files.js";
import { abandonedUpload, giveBack, uploadFile } from "./upload-files.js";

/** An upload in parts: whose it is (letters, digits, `_` and `-`), and the hash that the whole is to have. */
export interface UploadName {
  readonly scope: string;
  readonly sha256: string;
}

/** The bytes from `from` up to, and not including, `to`. Fewer may come, more may not. */
export interface UploadPart {
  readonly from: number;
  readonly to: number;
  readonly bytes: Readable;
}

/** What became of a part: kept, so that more is due; not the part that is due; or the last one, and what was made of all. */
export type Appended<T> =
  | { readonly state: "refused" | "kept"; readonly offset: number }
  | { readonly state: "complete"; readonly made: T };

/** How long a sender has to be silent before another one may go on in its place, in milliseconds. */
const SILENT_MS = 2_000;

interface Writer {
  readonly stop: AbortController;
  readonly ended: Promise<void>;
  offset: number;
  /** When bytes came last, on the monotonic clock. */
  heardAt: number;
}

/**
 * Bytes that come in parts, until they are all there. Who writes owns the file, under a name of its own: so nobody else
 * can change bytes that are being judged, in this process or in another. What breaks off goes back under the upload's
 * name, and goes on from there; nothing of it can be seen as a blob.
 */
export class Uploads {
  readonly #writers = new Map<string, Writer>();

  constructor(private readonly tmp: string) {}

  /** How many bytes of an upload are here. */
  async offset(name: UploadName): Promise<number> {
    const file = uploadFile(name);
    return this.#writers.get(file)?.offset ?? (await this.#size(file));
  }

  /**
   * Adds a part. One that goes on where a silent one stands takes its place: the sender of that has lost its connection,
   * and only we have not noticed. Once all bytes are there, `make` says what becomes of their file.
   * @throws {MaiaError} BAD_REQUEST above `to`, STORAGE_FULL; what the bytes throw. What came until then is kept.
   */
  async append<T>(
    name: UploadName,
    part: UploadPart,
    total: number,
    make: (file: string) => Promise<T>,
  ): Promise<Appended<T>> {
    const file = uploadFile(name);
    for (let held = this.#writers.get(file); held; held = this.#writers.get(file)) {
      const isSilent = performance.now() - held.heardAt > SILENT_MS;
      if (held.offset !== part.from || !isSilent) return { state: "refused", offset: held.offset };
      held.stop.abort(new MaiaError("STATE_CONFLICT", "Another request goes on with this upload"));
      await held.ended;
    }
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const writer: Writer = { stop: new AbortController(), ended, offset: part.from, heardAt: performance.now() };
    this.#writers.set(file, writer);
    try {
      const own = join(this.tmp, `${tempName()}.${file}`);
      const appended = await this.#write(file, own, part, total, writer);
      return appended ?? { state: "complete", made: await make(own) };
    } finally {
      this.#writers.delete(file);
      end();
    }
  }

  /** Forgets an upload that is not needed any more. */
  async drop(name: UploadName): Promise<void> {
    await rm(join(this.tmp, uploadFile(name)), { force: true });
  }

  /** Removes what has not grown since `before`, and says how many that were. */
  async dropStale(before: Date): Promise<number> {
    let count = 0;
    for (const name of await readdir(this.tmp)) {
      const isUpload = name.startsWith("part-") || abandonedUpload(name) !== null;
      const found = isUpload ? await ifThere(stat(join(this.tmp, name))) : null;
      if (!found || found.mtime >= before) continue;
      await rm(join(this.tmp, name), { force: true });
      count += 1;
    }
    return count;
  }

  /** Null: all bytes are there, in the file of our own. */
  async #write(
    file: string,
    own: string,
    part: UploadPart,
    total: number,
    writer: Writer,
  ): Promise<{ readonly state: "refused" | "kept"; readonly offset: number } | null> {
    writer.offset = await this.#size(file);
    if (writer.offset !== part.from) return { state: "refused", offset: writer.offset };
    await ifThere(rename(join(this.tmp, file), own));
    let isWhole = false;
    try {
      await using out = await open(own, "a", 0o600);
      writer.offset = (await out.stat()).size; // another process may have taken the file since we looked
      if (writer.offset !== part.from) return { state: "refused", offset: writer.offset };
      await pour(part, out, writer);
      isWhole = writer.offset === total;
      return isWhole ? null : { state: "kept", offset: writer.offset };
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      await rm(own, { force: true }); // others need the room more
      throw storageFull(error);
    } finally {
      if (!isWhole) await giveBack(this.tmp, own, file);
    }
  }

  async #size(file: string): Promise<number> {
    return (await ifThere(stat(join(this.tmp, file))))?.size ?? 0;
  }
}

/** Writes what comes, and counts it as it lands. */
async function pour({ bytes, to }: UploadPart, out: FileHandle, writer: Writer): Promise<void> {
  const { signal } = writer.stop;
  const stop = () => bytes.destroy(signal.reason);
  if (signal.aborted) stop();
  signal.addEventListener("abort", stop);
  try {
    for await (const chunk of bytes as AsyncIterable<Uint8Array>) {
      const wanted = chunk.subarray(0, to - writer.offset);
      await writeAll(out, wanted);
      writer.offset += wanted.byteLength;
      writer.heardAt = performance.now();
      if (wanted.byteLength < chunk.byteLength)
        throw new MaiaError("BAD_REQUEST", "More bytes came than Content-Range announces");
    }
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
