import { type FileHandle, open } from "node:fs/promises";
import { decodeFrameBatches, FrameSequence, MAX_LINE_BYTES } from "@maia/runner-protocol";

const NEWLINE = 0x0a;
const READ_BYTES = 262_144;
/** How far apart remembered line starts are. In bytes. */
const MARK_BYTES = 65_536;

/**
 * The frames of one attempt as they go over the wire, in a file: frame n is line n, and the exit is the last. Readers
 * take it in at their own pace, from any frame on, while it grows.
 */
export class Spool {
  #size = 0;
  #lines = 0;
  /** Line starts, so that a reader need not count from the beginning: [lines before it, offset]. */
  readonly #marks: [number, number][] = [[0, 0]];
  #tail: { readonly offset: number; readonly bytes: Buffer } | null = null;

  private constructor(private readonly file: FileHandle) {}

  static async create(path: string): Promise<Spool> {
    return new Spool(await open(path, "w+", 0o600));
  }

  /** Opens the spool of an attempt that has ended. Null: it is not there, or does not hold its exit. */
  static async openEnded(path: string, attemptId: string): Promise<Spool | null> {
    const file = await open(path, "r").catch(() => null);
    if (!file) return null;
    const spool = new Spool(file);
    if (await spool.#isWhole(attemptId)) return spool;
    await file.close();
    return null;
  }

  /** How many frames there are, the exit included. */
  get lines(): number {
    return this.#lines;
  }

  get sizeBytes(): number {
    return this.#size;
  }

  /** Appends whole lines. @throws the disk's error; then nothing was appended, and the same may be tried again. */
  async append(text: string, lines: number): Promise<void> {
    const bytes = Buffer.from(text);
    const offset = this.#size;
    for (let at = 0; at < bytes.length; ) {
      at += (await this.file.write(bytes, at, bytes.length - at, offset + at)).bytesWritten;
    }
    this.#grow(bytes.length, lines);
    this.#tail = { offset, bytes };
  }

  /** Whole lines from an offset on, as many as fit; empty at the end. */
  async read(offset: number): Promise<Uint8Array> {
    if (this.#tail?.offset === offset) return this.#tail.bytes;
    const first = await this.#readUpTo(offset, READ_BYTES);
    if (first.length === 0 || offset + first.length === this.#size) return first;
    const whole = first.lastIndexOf(NEWLINE) + 1;
    if (whole > 0) return first.subarray(0, whole);
    const long = await this.#readUpTo(offset, MAX_LINE_BYTES + 1);
    return long.subarray(0, long.indexOf(NEWLINE) + 1);
  }

  /** Where frame `seq` begins; it may be the one that comes next. Null: it is beyond that. */
  async offsetOf(seq: number): Promise<number | null> {
    const before = seq - 1;
    if (before > this.#lines) return null;
    if (before === this.#lines) return this.#size;
    let [lines, offset] = this.#marks.findLast(([lines]) => lines <= before)!;
    while (lines < before) {
      const bytes = await this.#readUpTo(offset, READ_BYTES);
      let from = 0;
      while (lines < before) {
        const end = bytes.indexOf(NEWLINE, from);
        if (end < 0) break;
        from = end + 1;
        lines++;
      }
      offset += from === 0 ? bytes.length : from;
      if (bytes.length === 0) return null;
    }
    return offset;
  }

  /** Lets go of the file. What was appended is there, whatever the disk says now. */
  async close(): Promise<void> {
    await this.file.close().catch(() => {});
  }

  #grow(bytes: number, lines: number): void {
    this.#size += bytes;
    this.#lines += lines;
    if (this.#size - this.#marks.at(-1)![1] >= MARK_BYTES) this.#marks.push([this.#lines, this.#size]);
  }

  async #readUpTo(offset: number, max: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(Math.min(max, this.#size - offset));
    let length = 0;
    while (length < buffer.length) {
      const { bytesRead } = await this.file.read(buffer, length, buffer.length - length, offset + length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return buffer.subarray(0, length);
  }

  async *#chunks(): AsyncGenerator<Uint8Array> {
    for (let offset = 0; offset < this.#size; ) {
      const bytes = await this.#readUpTo(offset, READ_BYTES);
      if (bytes.length === 0) return;
      offset += bytes.length;
      yield bytes;
    }
  }

  /** Reads the file once, and measures it: a crash may have left less than was written. */
  async #isWhole(attemptId: string): Promise<boolean> {
    const sequence = new FrameSequence(attemptId);
    this.#size = (await this.file.stat()).size;
    try {
      for await (const batch of decodeFrameBatches(this.#chunks())) {
        const { state } = sequence.take(batch);
        if (state === "gap") return false;
        this.#lines = sequence.nextSeq; // the frames before the exit, and the exit
        if (state === "ended") return true;
      }
    } catch {
      return false; // cut off, or no frames at all
    }
    return false;
  }
}
