import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";

const bin = fileURLToPath(new URL("../bin/maia.js", import.meta.url));

export interface MaiaOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  readonly cwd?: string;
}

export interface MaiaResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The `maia` command as a process of its own. It sees of the environment only what it is given. */
export class Maia {
  readonly child: ChildProcess;
  readonly done: Promise<MaiaResult>;
  stdout = "";
  stderr = "";

  constructor(args: readonly string[], { env = {}, stdin, cwd = tmpdir() }: MaiaOptions = {}) {
    const PATH = process.env.PATH ?? "/usr/bin:/bin";
    this.child = spawn(process.execPath, [bin, ...args], { cwd, env: { PATH, HOME: tmpdir(), ...env }, stdio: "pipe" });
    this.child.stdin?.end(stdin ?? "");
    this.child.stdout?.on("data", (chunk) => {
      this.stdout += chunk;
    });
    this.child.stderr?.on("data", (chunk) => {
      this.stderr += chunk;
    });
    this.done = once(this.child, "close").then(([code]) => ({ code, stdout: this.stdout, stderr: this.stderr }));
  }

  /** Waits until it has printed this. */
  async printed(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.stdout)) {
      if (this.child.exitCode !== null)
        throw new Error(`maia ended with ${this.child.exitCode} before ${pattern}:\n${this.stdout}${this.stderr}`);
      await Promise.race([once(this.child.stdout!, "data"), once(this.child, "close")]);
    }
  }
}

/** Runs `maia` to its end. */
export function maia(args: readonly string[], options?: MaiaOptions): Promise<MaiaResult> {
  return new Maia(args, options).done;
}
