import { type FileHandle, open } from "node:fs/promises";

/** A log that could not be made durable: nobody knows what the disk holds. The process must end. Source: guarantees, G26. */
export class LogBrokenError extends Error {
  override readonly name = "LogBrokenError";
}

interface Waiting {
  readonly text: string;
  readonly durable: boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** A file of lines that only grows. Lines that wait together are written, and made durable, together. */
export class DurableLog {
  #waiting: Waiting[] = [];
  #flushing: Promise<void> | null = null;
  #broken: LogBrokenError | null = null;

  private constructor(
    private readonly file: FileHandle,
    private size: number,
  ) {}

  /** Opens the log to go on after its first `size` bytes; what lies behind them is cut off. */
  static async open(path: string, size = 0): Promise<DurableLog> {
    const file = await open(path, size === 0 ? "w" : "r+", 0o600);
    await file.truncate(size);
    return new DurableLog(file, size);
  }

  get sizeBytes(): number {
    return this.size;
  }

  /** Appends a line. When a durable one resolves, it survives a power cut. @throws the disk's error; then nothing was kept. */
  append(line: string, durable: boolean): Promise<void> {
    if (this.#broken) return Promise.reject(this.#broken);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ text: `${line}\n`, durable, resolve, reject });
      this.#flushing ??= this.#flush();
    });
  }

  async close(): Promise<void> {
    await this.#flushing;
    await this.file.close();
  }

  async #flush(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        await this.#write(batch);
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#flushing = null;
  }

  async #write(batch: readonly Waiting[]): Promise<void> {
    const bytes = Buffer.from(batch.map(({ text }) => text).join(""));
    try {
      for (let at = 0; at < bytes.length; ) {
        at += (await this.file.write(bytes, at, bytes.length - at, this.size + at)).bytesWritten;
      }
    } catch (error) {
      await this.file.truncate(this.size);
      throw error;
    }
    if (batch.some(({ durable }) => durable)) await this.#sync();
    this.size += bytes.length;
  }

  async #sync(): Promise<void> {
    try {
      await this.file.datasync();
    } catch (error) {
      this.#broken = new LogBrokenError("The ledger could not be made durable", { cause: error });
      throw this.#broken;
    }
  }
}
