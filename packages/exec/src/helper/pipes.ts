import { execFile, execFileSync } from "node:child_process";
import { constants, openSync, unlinkSync } from "node:fs";

/** Both ends of a pipe. */
export interface Pipe {
  readonly read: number;
  readonly write: number;
}

export interface PipePair {
  readonly stdout: Pipe;
  readonly stderr: Pipe;
}

const STOCK = 32;

/**
 * A stock of pipes for the steps' output. What Node calls a pipe is a socket, and a step cannot open a socket again as
 * /dev/stderr; so these are named pipes that lose their name once they are open.
 */
export class PipeStock {
  private readonly ready: string[] = [];
  private made = 0;
  private isMaking = false;

  constructor(
    private readonly mkfifo: string,
    /** What the names of the pipes begin with. */
    private readonly prefix: string,
  ) {
    const names = this.nextNames();
    execFileSync(mkfifo, ["-m", "0622", ...names]);
    this.ready.push(...names);
  }

  take(): PipePair {
    if (this.ready.length < STOCK / 2) this.restock();
    if (this.ready.length < 2) {
      const names = this.nextNames();
      execFileSync(this.mkfifo, ["-m", "0622", ...names]);
      this.ready.push(...names);
    }
    return { stdout: openPipe(this.ready.pop()!), stderr: openPipe(this.ready.pop()!) };
  }

  private restock(): void {
    if (this.isMaking) return;
    this.isMaking = true;
    const names = this.nextNames();
    execFile(this.mkfifo, ["-m", "0622", ...names], (error) => {
      this.isMaking = false;
      if (!error) this.ready.push(...names);
    });
  }

  private nextNames(): string[] {
    return Array.from({ length: STOCK }, () => `${this.prefix}${this.made++}`);
  }
}

function openPipe(name: string): Pipe {
  const read = openSync(name, constants.O_RDONLY | constants.O_NONBLOCK);
  const write = openSync(name, constants.O_WRONLY);
  unlinkSync(name);
  return { read, write };
}
