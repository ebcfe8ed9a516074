import type { Frame } from "./frames.js";
import { LineBuffer } from "./line-buffer.js";
import { parseFrame } from "./parse-frame.js";
import { ProtocolError } from "./protocol-error.js";

/** Longest line on the wire, in bytes, without its newline. */
export const MAX_LINE_BYTES = 1_048_576;

const NEWLINE = 0x0a;
/** Larger chunks are read in pieces of this size, so that only a line that spans pieces can be too long. In bytes. */
const PIECE_BYTES = 262_144;

const toUtf8 = new TextEncoder();

/** The line of a frame, with its newline. @throws {ProtocolError} too_long */
export function encodeFrame(frame: Frame): string {
  const text = JSON.stringify(frame);
  if (text.length * 3 > MAX_LINE_BYTES && toUtf8.encode(text).length > MAX_LINE_BYTES) {
    throw new ProtocolError("too_long", `a ${frame.type} frame is longer than ${MAX_LINE_BYTES} bytes`);
  }
  return `${text}\n`;
}

/** The lines of frames. @throws {ProtocolError} too_long */
export function encodeFrames(frames: readonly Frame[]): string {
  let text = "";
  for (const frame of frames) text += encodeFrame(frame);
  return text;
}

/**
 * Reads frames from bytes cut anywhere, even inside a character.
 * @throws {ProtocolError} on a line that is no frame, is too long, or is cut off by the end of the stream.
 */
export async function* decodeFrames(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Frame> {
  for await (const frames of decodeFrameBatches(chunks)) yield* frames;
}

/** Like `decodeFrames`, with the frames that end in one chunk as one batch. A fault is thrown after the frames before it. */
export async function* decodeFrameBatches(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Frame[]> {
  const decoder = new FrameDecoder();
  for await (const chunk of chunks) {
    const frames: Frame[] = [];
    const fault = faultOf(() => decoder.push(chunk, frames));
    if (frames.length > 0) yield frames;
    if (fault) throw fault;
  }
  decoder.end();
}

/** Reads frames chunk by chunk, for those who have no stream. */
export class FrameDecoder {
  readonly #rest = new LineBuffer();
  readonly #utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

  /** Adds the frames that end in this chunk to `frames`. @throws {ProtocolError}; the frames before the fault are added. */
  push(chunk: Uint8Array, frames: Frame[]): void {
    for (let from = 0; from < chunk.length; from += PIECE_BYTES) {
      this.#pushPiece(chunk.subarray(from, from + PIECE_BYTES), frames);
    }
  }

  /** Says that no more bytes will come. @throws {ProtocolError} cut_off */
  end(): void {
    if (this.#rest.length > 0) throw new ProtocolError("cut_off", "the stream ended inside a line");
  }

  #pushPiece(piece: Uint8Array, frames: Frame[]): void {
    const last = piece.lastIndexOf(NEWLINE);
    let from = 0;
    if (last >= 0 && this.#rest.length > 0) {
      from = piece.indexOf(NEWLINE) + 1;
      this.#keep(piece.subarray(0, from - 1));
      const line = this.#rest.view();
      this.#rest.clear();
      this.#readLine(line, frames);
    }
    if (from <= last) this.#readLines(piece.subarray(from, last), frames);
    this.#keep(piece.subarray(last + 1));
  }

  #keep(part: Uint8Array): void {
    if (this.#rest.length + part.length > MAX_LINE_BYTES) {
      throw new ProtocolError("too_long", `a line is longer than ${MAX_LINE_BYTES} bytes`);
    }
    this.#rest.append(part);
  }

  /** Decodes many lines at once; only where one of them is not UTF-8, one by one up to the fault. */
  #readLines(bytes: Uint8Array, frames: Frame[]): void {
    let block: string;
    try {
      block = this.#utf8.decode(bytes);
    } catch {
      for (const line of splitLines(bytes)) this.#readLine(line, frames);
      return;
    }
    let from = 0;
    for (let end = block.indexOf("\n"); end >= 0; end = block.indexOf("\n", from)) {
      readFrame(block.slice(from, end), frames);
      from = end + 1;
    }
    readFrame(block.slice(from), frames);
  }

  #readLine(bytes: Uint8Array, frames: Frame[]): void {
    let line: string;
    try {
      line = this.#utf8.decode(bytes);
    } catch {
      throw new ProtocolError("bad_utf8", "a line is not UTF-8");
    }
    readFrame(line, frames);
  }
}

function readFrame(line: string, frames: Frame[]): void {
  if (line === "" || line === "\r") return;
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new ProtocolError("bad_json", "a line is no JSON");
  }
  const frame = parseFrame(value);
  if (frame) frames.push(frame);
}

function* splitLines(bytes: Uint8Array): Generator<Uint8Array> {
  let from = 0;
  for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, from)) {
    yield bytes.subarray(from, end);
    from = end + 1;
  }
  yield bytes.subarray(from);
}

function faultOf(read: () => void): unknown {
  try {
    read();
    return null;
  } catch (error) {
    return error;
  }
}
