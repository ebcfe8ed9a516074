/** What the text goes through before it is cut, so that nothing is missed where a line ends or is too long. */
export interface TextFilter {
  readonly isHolding: boolean;
  push(text: string): string;
  end(): string;
}

/**
 * Cuts a stream of bytes into lines. What comes out is the same however the bytes were chunked: bytes that are no UTF-8
 * become U+FFFD, and a line above `maxBytes` comes in pieces of at most so many bytes, cut between characters.
 */
export class LineSplitter {
  private readonly decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  private rest = "";

  constructor(
    private readonly maxBytes: number,
    private readonly emit: (line: string) => void,
    private readonly filter: TextFilter | null = null,
  ) {}

  /** Takes the next bytes and emits the lines that they complete. */
  push(chunk: Uint8Array): void {
    const text = this.decoder.decode(chunk, { stream: true });
    this.split(this.filter ? this.filter.push(text) : text);
  }

  /** Emits what is left: the last line needs no newline. */
  end(): void {
    const text = this.decoder.decode();
    this.split(this.filter ? this.filter.push(text) + this.filter.end() : text);
    if (this.rest !== "") this.emit(this.rest);
    this.rest = "";
  }

  /** True while a line has begun that no newline has ended. */
  get isMidLine(): boolean {
    return this.rest !== "" || (this.filter?.isHolding ?? false);
  }

  private split(text: string): void {
    let from = 0;
    for (let end = text.indexOf("\n"); end >= 0; from = end + 1, end = text.indexOf("\n", from)) {
      const line = this.rest === "" ? text.slice(from, end) : this.rest + text.slice(from, end);
      this.rest = "";
      this.emit(this.cut(line));
    }
    this.rest = this.cut(this.rest + text.slice(from));
  }

  /** Emits full pieces of a line that is too long, and gives back its tail. */
  private cut(line: string): string {
    let tail = line;
    // No character takes more than three bytes per UTF-16 unit, so that short lines need no counting.
    while (tail.length * 3 > this.maxBytes && Buffer.byteLength(tail) > this.maxBytes) {
      const length = prefixWithin(tail, this.maxBytes);
      this.emit(tail.slice(0, length));
      tail = tail.slice(length);
    }
    return tail;
  }
}

/** How many UTF-16 units of the text fit into `maxBytes`, without tearing a character; at least one character. */
function prefixWithin(text: string, maxBytes: number): number {
  let bytes = 0;
  let at = 0;
  while (at < text.length) {
    const code = text.codePointAt(at)!;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    if (bytes > maxBytes && at > 0) break;
    at += code < 0x10000 ? 1 : 2;
  }
  return at;
}
