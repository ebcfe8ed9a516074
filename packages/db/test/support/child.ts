import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import readline from "node:readline";
import { fileURLToPath } from "node:url";

const CHILDREN = fileURLToPath(new URL("../contract/children", import.meta.url));

/** A real process that works on a database and says what it does, a line of JSON each. */
export class Child implements AsyncDisposable {
  readonly said: unknown[] = [];
  readonly #process: ChildProcess;
  readonly #wakers = new Set<() => void>();
  readonly #ended: Promise<number | null>;
  #errors = "";
  #over = false;

  /** @param script in `test/contract/children`; it gets the options as JSON. */
  constructor(script: string, options: object, before: readonly string[] = []) {
    const [command = process.execPath, ...args] = [
      ...before,
      process.execPath,
      path.join(CHILDREN, script),
      JSON.stringify(options),
    ];
    this.#process = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] });
    readline.createInterface({ input: this.#process.stdout! }).on("line", (line) => {
      this.said.push(JSON.parse(line));
      this.#wake();
    });
    this.#process.stderr!.on("data", (bytes: Buffer) => {
      this.#errors += bytes.toString();
    });
    this.#ended = once(this.#process, "close").then(([code]) => {
      this.#over = true;
      this.#wake();
      return code as number | null;
    });
  }

  /** Waits until the child has said something like this. */
  async heard<T>(is: (said: T) => boolean): Promise<T> {
    for (;;) {
      const found = (this.said as T[]).find(is);
      if (found !== undefined) return found;
      if (this.#over) throw new Error(`the child ended before it said so: ${this.#errors}`);
      await new Promise<void>((resolve) => this.#wakers.add(resolve));
    }
  }

  /** Waits for the child's end. @returns all that it said. */
  async finished<T>(): Promise<T[]> {
    const code = await this.#ended;
    if (code !== 0) throw new Error(`the child ended with ${code}: ${this.#errors}`);
    return this.said as T[];
  }

  tell(message: object): void {
    this.#process.stdin!.write(`${JSON.stringify(message)}\n`);
  }

  endInput(): void {
    this.#process.stdin!.end();
  }

  signal(name: NodeJS.Signals): void {
    this.#process.kill(name);
  }

  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#ended;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }

  #wake(): void {
    for (const wake of this.#wakers) wake();
    this.#wakers.clear();
  }
}
