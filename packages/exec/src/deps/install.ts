import { chownSync, mkdirSync } from "node:fs";
import type { CancelMode, TaskDeps } from "@maia/runner-protocol";
import { openGuarded } from "../collect/guard.js";
import { writeNow } from "../fill.js";
import { shellHandover } from "../handover.js";
import type { EndMessage } from "../messages.js";
import type { Session, SlotMessage, SlotUser } from "../session.js";
import type { Slot } from "../slot-folders.js";
import { checkNpm, formatLock, type Lock, LockError, parseLock, readPipReport } from "./lock.js";
import { NPM_LOCK, PIP_HASHES, PIP_REPORT, type Recipe, writeRecipe } from "./recipe.js";
import type { InstallSettings } from "./settings.js";

/** Why there is no set. "failed": the packages or their registry; "canceled": nobody wants it any more; "lost": ours. */
export class InstallError extends Error {
  override readonly name = "InstallError";
  constructor(
    readonly kind: "failed" | "canceled" | "lost",
    message: string,
  ) {
    super(message);
  }
}

export interface InstallOptions {
  readonly settings: InstallSettings;
  readonly timeoutMs: number;
  readonly graceMs: number;
  readonly onLines: (lines: readonly string[]) => void;
}

/** What an installation has built: a folder, which is gone once `done` has settled, and the lock that it follows. */
export interface Built {
  readonly folder: string;
  readonly lock: string;
}

const LOCK_MAX_BYTES = 16 * 1024 * 1024;
const LOG_LINE_MAX = 64 * 1024;
const LOG_MAX = 16 * 1024 * 1024;
/** How much of the end of the log a failure tells. */
const TOLD_LINES = 20;
const TOLD_CHARS = 2_000;

/** What npm says of itself: of logs that it was told not to keep, and of sources that it was told not to take. */
const NOISE =
  /^npm error( [0-9A-Z]+)?\s*$|^npm error (Log files were not written|404 Note that you can also install|404 tarball, folder)/;

/** One installation, in a process of its own with the rights of a step: it has the network, and nothing of Maia's. */
export class Install implements SlotUser {
  private readonly slot: Slot;
  private readonly lock: Lock | null;
  private readonly ended = Promise.withResolvers<EndMessage>();
  private last: string[] = [];

  /** @throws {InstallError} where it cannot begin. */
  constructor(
    private readonly session: Session,
    private readonly deps: TaskDeps,
    private readonly options: InstallOptions,
  ) {
    const { tools } = session.ready;
    if (Object.keys(deps.npm).length > 0 && tools.npm === null)
      throw new InstallError("failed", "npm is not installed on this host, and the workflow needs npm packages");
    if (deps.python.length > 0 && tools.python === null)
      throw new InstallError("failed", "Python is not installed on this host, and the workflow needs Python packages");
    this.lock = deps.lock === null ? null : trusted(() => parseLock(deps.lock!, deps));
    this.slot = session.pool.startOwn("shell", { memoryBytes: null, processes: null }, options.settings.reads);
    session.use(this.slot, this);
  }

  /** Installs, has the result taken away by `take`, and clears up. @throws {InstallError} */
  async run<T>(take: (built: Built) => Promise<T>): Promise<T> {
    try {
      this.begin(writeRecipe(this.deps, this.lock, this.session.ready.tools, this.options.settings));
      const end = await this.ended.promise;
      if (end.reason !== "exited" || end.exitCode !== 0) throw this.failure(end);
      return await take({ folder: this.built, lock: trusted(() => this.followed()) });
    } catch (error) {
      if (error instanceof InstallError) throw error;
      throw new InstallError("lost", `what was installed could not be kept: ${(error as Error).message}`);
    } finally {
      this.session.release(this.slot);
    }
  }

  cancel(mode: CancelMode): void {
    this.session.send({ t: "kill", slot: this.slot.id, mode });
  }

  hear(message: SlotMessage): void {
    if (message.t === "log") this.print(message.lines, message.bytes);
    else if (message.t === "end") this.ended.resolve(message);
    else if (message.t === "gone")
      this.ended.reject(new InstallError("lost", message.message ?? "the process has ended"));
  }

  lose(): void {
    this.ended.reject(new InstallError("lost", "the process that supervises steps has died"));
  }

  private get built(): string {
    return `${this.slot.host.work}/build`;
  }

  private begin({ files, script, env }: Recipe): void {
    const { host, seen } = this.slot;
    const { owner } = this.session.ready;
    mkdirSync(this.built, { mode: 0o755 });
    for (const [name, text] of Object.entries(files)) this.own(`${this.built}/${name}`, text);
    if (owner) chownSync(this.built, owner.uid, owner.gid);
    writeNow(`${host.run}/install.sh`, script, 0o444);
    const { PATH, LANG, TZ } = this.session.environment;
    const folders = { HOME: `${seen.work}/home`, TMPDIR: `${seen.work}/tmp`, BUILD: `${seen.work}/build` };
    const all = { ...env, PATH, LANG, TZ, ...folders };
    const body = shellHandover({ path: `${seen.run}/install.sh`, hasInterpreter: false }, all);
    const { timeoutMs, graceMs } = this.options;
    const attempt = { attemptId: this.slot.id, timeoutMs, graceMs };
    const limits = { logLineMax: LOG_LINE_MAX, logAttemptMax: LOG_MAX, answerMax: 1_024 };
    this.session.send({ t: "go", slot: this.slot.id, body, reuse: false, ...attempt, ...limits });
  }

  /** Tokens may stand in a file, so that nobody but the installation's user reads it. */
  private own(path: string, text: string): void {
    const { owner } = this.session.ready;
    writeNow(path, text, 0o600);
    if (owner) chownSync(path, owner.uid, owner.gid);
  }

  private print(all: readonly string[], bytes: number): void {
    const lines = all.filter((line) => !NOISE.test(line));
    this.last.push(...lines);
    this.last = this.last.slice(-TOLD_LINES);
    if (lines.length > 0) this.options.onLines(lines);
    this.session.send({ t: "credit", slot: this.slot.id, bytes });
  }

  private failure({ reason, exitCode, signal, message }: EndMessage): InstallError {
    switch (reason) {
      case "canceled":
        return new InstallError("canceled", "the installation was canceled");
      case "lost":
        return new InstallError("lost", "the process that supervises steps has died");
      case "timeout":
        return new InstallError(
          "failed",
          `The installation took longer than ${this.options.timeoutMs} ms\n${this.told}`,
        );
      case "oom":
        return new InstallError("failed", `The installation ran out of memory\n${this.told}`);
      case "spawn_failed":
        return new InstallError("lost", message ?? "the installation could not be started");
      case "exited": {
        const how = signal === null ? `ended with exit code ${exitCode}` : `was ended by ${signal}`;
        return new InstallError("failed", `The installation ${how}\n${this.told}`.trim());
      }
    }
  }

  private get told(): string {
    return this.last.join("\n").slice(-TOLD_CHARS);
  }

  /** The lock that was followed: the one that was given, or what was resolved. @throws {LockError} */
  private followed(): string {
    if (this.deps.lock !== null) return this.deps.lock;
    const hasNpm = Object.keys(this.deps.npm).length > 0;
    const npm = hasNpm ? (JSON.parse(this.read(NPM_LOCK)) as NonNullable<Lock["npm"]>) : null;
    if (npm) checkNpm(npm);
    const python = this.deps.python.length > 0 ? readPipReport(this.read(PIP_REPORT), this.read(PIP_HASHES)) : null;
    return formatLock({ version: 1, npm, python });
  }

  /** What the installation has left is its own; nothing about it is taken on trust. */
  private read(name: string): string {
    using file = openGuarded(`${this.built}/${name}`, this.slot.host.work, LOCK_MAX_BYTES);
    return file.text();
  }
}

/** A lock that cannot be trusted is an installation that failed. */
function trusted<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof LockError) throw new InstallError("failed", `The lock is refused: ${error.message}`);
    throw error;
  }
}
