import { hash } from "node:crypto";
import {
  ExecutorError,
  type ExecutorErrorCode,
  type ExitFrame,
  type Inline,
  parseInline,
  parseTask,
  type Task,
} from "@maia/runner-protocol";
import { GatewayError, type HeldAttempt } from "@maia/runner-protocol/client";
import type { Logger } from "@maia/service";
import { type KillReason, lostExit } from "../attempts/attempt.js";
import type { Attempts } from "../attempts/attempts.js";
import { type ContentDeps, ContentError, fetchContent, NoRoomError } from "./content.js";
import type { Reports } from "./reports.js";
import type { Unconfirmed } from "./unconfirmed.js";

export interface TasksDeps extends ContentDeps {
  readonly attempts: Attempts;
  readonly reports: Reports;
  readonly unconfirmed: Unconfirmed;
  readonly slots: number;
  readonly logger: Logger;
  /** False: no such task is started, whatever comes. */
  readonly isOpen: (isOfTransaction: boolean) => boolean;
  readonly onSuperseded: () => void;
}

/** A task whose content is on its way. */
interface Coming {
  readonly stop: AbortController;
  /** When the gateway last said anything about it, on the monotonic clock. */
  askedAt: number;
}

/** Takes tasks of polls in hand: fetches what they need, and hands them to `Attempts`. */
export class Tasks {
  readonly #coming = new Map<string, Coming>();
  readonly #got = new Set<string>();

  constructor(private readonly deps: TasksDeps) {}

  /** Room for so many more. */
  get free(): number {
    const { attempts, slots } = this.deps;
    const coming = this.coming().filter((attemptId) => !attempts.isRunning(attemptId)); // while one is begun, it is both
    return Math.max(0, slots - attempts.running - coming.length);
  }

  /** Attempts whose content is on its way. */
  coming(): string[] {
    return [...this.#coming.keys()];
  }

  /** Attempts that the gateway has not been told yet that they are here. */
  got(): string[] {
    return [...this.#got];
  }

  /** Says that the gateway knows that these are here. */
  confirmed(attemptIds: readonly string[]): void {
    for (const attemptId of attemptIds) this.#got.delete(attemptId);
  }

  /** Says that these are still wanted. */
  asked(attemptIds: readonly string[]): void {
    this.deps.attempts.asked(attemptIds);
    for (const attemptId of attemptIds) {
      const coming = this.#coming.get(attemptId);
      if (coming) coming.askedAt = performance.now();
    }
  }

  /** Stops fetching for an attempt that is not to start. */
  interrupt(attemptId: string): void {
    this.#coming.get(attemptId)?.stop.abort();
  }

  /** Stops fetching for all that have not started. */
  interruptAll(): void {
    for (const { stop } of this.#coming.values()) stop.abort();
  }

  /** Takes a task in hand, as it came. False: there is no room for it, so it has to come again. */
  take(value: unknown): boolean {
    const { reports, logger, isOpen } = this.deps;
    const held = heldBy(value);
    if (!held) {
      logger.error("the gateway sent what is no task", {});
      return false;
    }
    const { attemptId } = held;
    if (reports.has(attemptId)) this.#got.add(attemptId);
    if (reports.has(attemptId) || this.#coming.has(attemptId)) return true;
    if (this.free === 0 || !isOpen(isOfTransaction(value))) return false;
    const coming: Coming = { stop: new AbortController(), askedAt: performance.now() };
    this.#coming.set(attemptId, coming);
    void this.#start(value, held, coming)
      .catch((error: unknown) => this.#onFailure(held, error))
      .catch((error: unknown) => logger.error("a task that was not started could not be noted", { attemptId, error }))
      .finally(() => {
        this.#coming.delete(attemptId);
      });
    return true;
  }

  async #start(value: unknown, held: HeldAttempt, coming: Coming): Promise<void> {
    const { attempts, reports, unconfirmed } = this.deps;
    const { attemptId } = held;
    const ready = attempts.knows(attemptId) ? null : await this.#prepare(value, coming);
    if (!ready && !attempts.knows(attemptId)) return;
    await unconfirmed.add(held);
    if (ready && !attempts.knows(attemptId)) await attempts.accept(ready.task, ready); // else a cancel was faster
    reports.begin(held, ready !== null);
    this.#got.add(attemptId);
  }

  /** Checks a task and fetches what it needs. Null: it is not to be started any more. */
  async #prepare(value: unknown, coming: Coming): Promise<{ readonly task: Task; readonly inline: Inline } | null> {
    const task = parseTask(value);
    const inline = checkedInline(value);
    await fetchContent(this.deps, task, inline, coming.stop.signal);
    const isOff = coming.stop.signal.aborted || !this.deps.isOpen(isOfTransaction(value)) || isForgotten(task, coming);
    return isOff ? null : { task, inline };
  }

  /** Nothing was started. What will never start is reported as such, what may start later comes again. */
  async #onFailure(held: HeldAttempt, error: unknown): Promise<void> {
    const { attempts, reports, unconfirmed, logger, onSuperseded } = this.deps;
    const { attemptId } = held;
    const reason = reasonOf(error);
    if (reason === "SUPERSEDED") return onSuperseded();
    logger.warn("a task was not started", { attemptId, reason, error: (error as Error).message });
    if (reason === "REFUSED") await attempts.refuse(attemptId, spawnFailed(error as Error));
    if (reason === "NO_ROOM") await attempts.refuse(attemptId, lostExit(0, lostFor(error as Error)));
    if (reason !== "LATER") {
      await unconfirmed.add(held);
      reports.begin(held, false);
      this.#got.add(attemptId);
    } else await unconfirmed.remove(attemptId);
  }
}

type Reason = "SUPERSEDED" | "REFUSED" | "NO_ROOM" | "ATTEMPT_LOST" | "LATER";

const REASONS: { readonly [code in ExecutorErrorCode]?: Reason } = {
  ATTEMPT_LOST: "ATTEMPT_LOST",
  ISOLATION_UNAVAILABLE: "REFUSED",
  REFUSED: "REFUSED",
};

function reasonOf(error: unknown): Reason {
  if (error instanceof GatewayError) return error.code === "SUPERSEDED" ? "SUPERSEDED" : "LATER";
  if (error instanceof ExecutorError) return REASONS[error.code] ?? "LATER";
  if (error instanceof NoRoomError) return "NO_ROOM";
  return error instanceof ContentError || (error as Error).name === "ProtocolError" ? "REFUSED" : "LATER";
}

function lostFor({ message }: Error): KillReason {
  return { code: "RUNNER_LOST", message };
}

/** The end of a task that cannot be carried out here as it stands. */
function spawnFailed({ message }: Error): ExitFrame {
  const error = { code: "STEP_SPAWN_FAILED", message: message.slice(0, 2_000) };
  return { type: "exit", lastSeq: 0, exitCode: null, signal: null, reason: "spawn_failed", error };
}

/** True where the gateway was away for the attempt's window: it may count as lost, so it must not start any more. */
function isForgotten({ reconnectWindowMs }: Task, { askedAt }: Coming): boolean {
  return performance.now() - askedAt >= reconnectWindowMs;
}

/** The content that came along with a task, where it is what it says to be; the rest is fetched. */
function checkedInline(value: unknown): Inline {
  return new Map([...parseInline(value)].filter(([sha256, bytes]) => hash("sha256", bytes) === sha256));
}

function isOfTransaction(value: unknown): boolean {
  return typeof (value as { transaction?: unknown }).transaction === "string";
}

function heldBy(value: unknown): HeldAttempt | null {
  const { attemptId, token } = (value ?? {}) as { attemptId?: unknown; token?: unknown };
  const isId = typeof attemptId === "string" && /^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/.test(attemptId);
  const isToken = typeof token === "string" && /^[\x21-\x7e]{1,512}$/.test(token);
  return isId && isToken ? { attemptId, token } : null;
}
