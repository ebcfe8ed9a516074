import type { Writable } from "node:stream";
import type { FromHelper } from "../messages.js";

const FLUSH_BYTES = 128 * 1024;
const FULL_BYTES = 2 * 1024 * 1024;

/** Messages to the executor: those of one turn of the event loop leave in one write. */
export class Outbox {
  private waiting: string[] = [];
  private waitingBytes = 0;
  private scheduled = false;

  constructor(
    private readonly stream: Writable,
    private readonly onRoom: () => void,
  ) {
    stream.on("drain", () => this.onRoom());
  }

  send(message: FromHelper): void {
    const line = `${JSON.stringify(message)}\n`;
    this.waiting.push(line);
    this.waitingBytes += line.length;
    if (this.waitingBytes >= FLUSH_BYTES) this.flush();
    else if (!this.scheduled) {
      this.scheduled = true;
      setImmediate(() => this.flush());
    }
  }

  /** True while the executor reads too slowly for more logs. */
  get isFull(): boolean {
    return this.stream.writableLength > FULL_BYTES;
  }

  flush(): void {
    this.scheduled = false;
    if (this.waiting.length === 0) return;
    const text = this.waiting.join("");
    this.waiting = [];
    this.waitingBytes = 0;
    this.stream.write(text);
  }
}
