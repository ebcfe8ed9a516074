import { readSync } from "node:fs";
import { Socket } from "node:net";
import type { PipePair } from "./pipes.js";

const MOST_AT_ONCE_BYTES = 1024 * 1024;
const buffer = Buffer.allocUnsafe(64 * 1024);

export type OutputStream = "stdout" | "stderr";

/** The reading ends of what a process prints. */
export class OutputPipes {
  private readonly ends: { name: OutputStream; fd: number; socket: Socket }[];
  private open = 2;

  constructor(
    pipes: PipePair,
    private readonly onPrint: (stream: OutputStream, chunk: Buffer) => void,
    onClosed: () => void,
  ) {
    this.ends = (["stdout", "stderr"] as const).map((name) => {
      const socket = new Socket({ fd: pipes[name].read, readable: true, writable: false });
      socket.on("data", (chunk: Buffer) => onPrint(name, chunk));
      socket.on("error", () => undefined);
      socket.on("close", () => {
        this.open--;
        if (this.open === 0) onClosed();
      });
      return { name, fd: pipes[name].read, socket };
    });
  }

  /** True when nobody can print any more and all has been read. */
  get areClosed(): boolean {
    return this.open === 0;
  }

  /** Stops or continues reading; whoever prints on has to wait. */
  hold(isHeld: boolean): void {
    for (const { socket } of this.ends) {
      if (isHeld) socket.pause();
      else socket.resume();
    }
  }

  /** Reads what lies in the pipes at this moment, without waiting. */
  readWhatIsThere(): void {
    for (const { name, fd, socket } of this.ends) {
      for (let chunk = socket.read(); chunk !== null; chunk = socket.read()) this.onPrint(name, chunk);
      for (let left = MOST_AT_ONCE_BYTES; left > 0; ) {
        const length = readNow(fd);
        if (length === 0) break;
        this.onPrint(name, Buffer.from(buffer.subarray(0, length)));
        left -= length;
      }
    }
  }

  close(): void {
    for (const { socket } of this.ends) socket.destroy();
  }
}

/** Reads from a descriptor that does not block; 0 when nothing is there. */
function readNow(fd: number): number {
  const { stackTraceLimit } = Error;
  // That nothing is there comes as an error, thousands of times per second.
  Error.stackTraceLimit = 0;
  try {
    return readSync(fd, buffer);
  } catch {
    return 0;
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}
