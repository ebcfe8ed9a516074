import type { LogMessage } from "../messages.js";
import type { Redactor } from "../redact/redactor.js";
import { LineSplitter } from "./lines.js";

type Stream = "stdout" | "stderr";

const FLUSH_BYTES = 64 * 1024;
const FLUSH_MS = 10;
const TAIL_LINES = 20;
const NEWLINE = 10;

export interface LogLimits {
  /** Longest line, in bytes. */
  readonly logLineMax: number;
  /** Bytes kept in all, each line counting one more for its end. */
  readonly logAttemptMax: number;
}

/** The log of one attempt: lines in batches, and a count of what a limit has cut. */
export class AttemptLog {
  droppedLines = 0;
  droppedBytes = 0;
  /** The last lines of stderr: what a process said before it died. */
  readonly tail: string[] = [];
  private keptBytes = 0;
  private isFull = false;
  private readonly unfinished: Partial<Record<Stream, boolean>> = {};
  private batch: { stream: Stream; at: number; lines: string[]; bytes: number } | null = null;
  private timer: NodeJS.Timeout | null = null;
  private readonly splitters: Partial<Record<Stream, LineSplitter>> = {};

  constructor(
    private readonly limits: LogLimits,
    private readonly send: (batch: Omit<LogMessage, "t" | "slot">) => void,
    private readonly redactor: Redactor | null = null,
  ) {}

  write(stream: Stream, chunk: Uint8Array): void {
    if (this.isFull) this.count(stream, chunk);
    else this.splitter(stream).push(chunk);
  }

  /** Nothing more will come. */
  end(): void {
    this.splitters.stdout?.end();
    this.splitters.stderr?.end();
    this.flush();
  }

  /** Made when it is needed: most attempts print to one stream or none. */
  private splitter(stream: Stream): LineSplitter {
    this.splitters[stream] ??= new LineSplitter(
      this.limits.logLineMax,
      (line) => this.add(stream, line),
      this.redactor?.stream() ?? null,
    );
    return this.splitters[stream];
  }

  private add(stream: Stream, line: string): void {
    const bytes = Buffer.byteLength(line);
    if (stream === "stderr") {
      this.tail.push(line.slice(0, 500));
      if (this.tail.length > TAIL_LINES) this.tail.shift();
    }
    if (this.isFull || this.keptBytes + bytes + 1 > this.limits.logAttemptMax) {
      this.isFull = true;
      this.droppedLines++;
      this.droppedBytes += bytes;
      return;
    }
    this.keptBytes += bytes + 1;
    this.append(stream, line, bytes);
  }

  private append(stream: Stream, line: string, bytes: number): void {
    if (this.batch && this.batch.stream !== stream) this.flush();
    this.batch ??= { stream, at: Date.now(), lines: [], bytes: 0 };
    this.batch.lines.push(line);
    this.batch.bytes += bytes + 1;
    if (this.batch.bytes >= FLUSH_BYTES) this.flush();
    else this.timer ??= setTimeout(() => this.flush(), FLUSH_MS);
  }

  private flush(): void {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    if (this.batch) this.send(this.batch);
    this.batch = null;
  }

  /** Past the limit lines are only counted, which costs next to nothing. */
  private count(stream: Stream, chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    const continues = this.unfinished[stream] ?? this.splitter(stream).isMidLine;
    let newlines = 0;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, at + 1)) newlines++;
    const endsLine = chunk[chunk.length - 1] === NEWLINE;
    this.droppedBytes += chunk.length - newlines;
    this.droppedLines += newlines + (endsLine ? 0 : 1) - (continues ? 1 : 0);
    this.unfinished[stream] = !endsLine;
  }
}
