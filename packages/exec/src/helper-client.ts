import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { helperEnvironment } from "./config.js";
import type { FromHelper, OpenMessage, ReadyMessage, ToHelper } from "./messages.js";

const PING_MS = 1_000;
const LEAVE_MS = 5_000;
const OPEN_MS = 60_000;

/**
 * What holds for the helper holds for all that it starts: no core dumps, a bounded number of open files, and, for root,
 * mounts of its own. Where that cannot be had it does without. It is told what it inherited, to close it.
 */
const BEGIN = `
ulimit -c 0; ulimit -n 8192 2>/dev/null
for f in /proc/$$/fd/*; do [ -e "$f" ] && set -- "$@" "\${f##*/}"; done
[ -n "$MAIA_EXEC_STAGE" ] && unshare --mount --propagation slave true 2>/dev/null &&
  exec unshare --mount --propagation slave "$@"
exec "$@"`;

/** The isolation that is wished for cannot be had. */
export class IsolationRefused extends Error {
  override readonly name = "IsolationRefused";
}

export interface HelperEvents {
  readonly onMessage: (message: FromHelper) => void;
  /** The helper is no more, and nobody asked it to go. */
  readonly onDeath: () => void;
  readonly onTrouble: (text: string) => void;
}

/** The helper process, seen from its parent. Messages of one turn of the event loop leave in one write. */
export class HelperClient {
  private readonly child: ChildProcess;
  private waiting = "";
  private rest = "";
  private isLeaving = false;
  private readonly ping: NodeJS.Timeout;
  private readonly exited: Promise<void>;

  constructor(
    private readonly open: OpenMessage,
    stage: string | null,
    private readonly events: HelperEvents,
  ) {
    const main = fileURLToPath(new URL("../dist/helper/main.js", import.meta.url));
    const env = { ...helperEnvironment(), ...(stage ? { MAIA_EXEC_STAGE: stage } : {}) };
    const whose = [open.home, String(process.pid)];
    this.child = spawn("/bin/sh", ["-c", BEGIN, "sh", process.execPath, main, ...whose], {
      env,
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
    });
    this.child.stdin!.on("error", () => undefined);
    this.child.stdout!.setEncoding("utf8").on("data", (text: string) => this.heard(text));
    this.child.stderr!.setEncoding("utf8").on("data", (text: string) => events.onTrouble(text));
    this.exited = new Promise((resolve) => {
      this.child.on("error", () => resolve());
      this.child.on("close", () => resolve());
    });
    void this.exited.then(() => this.ended());
    this.ping = setInterval(() => this.send({ t: "ping" }), Math.max(10, Math.min(PING_MS, open.leaseTtlMs / 5)));
    this.ping.unref();
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  /** Waits until the helper knows how to start steps. @throws {Error} with the reason why it cannot. */
  async ready(): Promise<ReadyMessage> {
    this.send(this.open);
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("the helper does not answer")), OPEN_MS);
      this.onReady = (answer) => {
        clearTimeout(timer);
        if (answer instanceof Error) reject(answer);
        else resolve(answer);
      };
    });
  }

  private onReady: ((answer: ReadyMessage | Error) => void) | null = null;

  send(message: ToHelper): void {
    if (this.waiting === "") queueMicrotask(() => this.flush());
    this.waiting += `${JSON.stringify(message)}\n`;
  }

  /** Ends the helper and with it every step. */
  async leave(): Promise<void> {
    this.isLeaving = true;
    clearInterval(this.ping);
    this.flush();
    this.child.stdin!.end();
    const timer = setTimeout(() => this.child.kill("SIGKILL"), LEAVE_MS);
    await this.exited;
    clearTimeout(timer);
  }

  private flush(): void {
    const text = this.waiting;
    this.waiting = "";
    if (text !== "" && this.child.stdin!.writable) this.child.stdin!.write(text);
  }

  private heard(text: string): void {
    const lines = (this.rest + text).split("\n");
    this.rest = lines.pop()!;
    for (const line of lines) {
      const message = JSON.parse(line) as FromHelper;
      if (message.t === "ready") this.onReady?.(message);
      else if (message.t === "refused") this.onReady?.(new IsolationRefused(message.message));
      else this.events.onMessage(message);
    }
  }

  private ended(): void {
    clearInterval(this.ping);
    this.onReady?.(new Error("the helper has ended before it was ready"));
    if (!this.isLeaving) this.events.onDeath();
  }
}
