const NEWLINE = 10;

/** Lines that come from a process on its control channel; null stands for one above the limit. */
export class AnswerLines {
  /** Longest line, in bytes. */
  limit = 1024;
  private parts: Buffer[] = [];
  private bytes = 0;

  push(chunk: Buffer): (string | null)[] {
    const lines: (string | null)[] = [];
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; from = end + 1, end = chunk.indexOf(NEWLINE, from)) {
      this.keep(chunk.subarray(from, end));
      lines.push(this.bytes > this.limit ? null : this.join());
      this.parts = [];
      this.bytes = 0;
    }
    this.keep(chunk.subarray(from));
    if (this.bytes > this.limit) lines.push(null);
    return lines;
  }

  private keep(part: Buffer): void {
    if (this.bytes <= this.limit) this.parts.push(part);
    this.bytes += part.length;
  }

  private join(): string {
    return this.parts.length === 1 ? this.parts[0]!.toString("utf8") : Buffer.concat(this.parts).toString("utf8");
  }
}
