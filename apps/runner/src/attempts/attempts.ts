import { rm } from "node:fs/promises";
import { type CancelMode, ExecutorError, type ExitFrame, type Inline, type Task } from "@maia/runner-protocol";
import { checkTask, type InHand } from "./admission.js";
import { Attempt, type KillReason } from "./attempt.js";
import type { FollowOptions } from "./followers.js";
import { FrameLog } from "./frame-log.js";
import { Refusals } from "./refusals.js";
import { remainsOf } from "./remains.js";
import { Spool } from "./spool.js";
import { type AttemptsDeps, contentOf, spoolPath, startAttempt, trusted } from "./start-attempt.js";

/** An attempt whose frames can be followed, running or ended. */
export interface Followable {
  /** Lines from a frame on, up to the exit. Null: that frame is beyond the next one. The caller iterates what it gets. */
  follow(options: FollowOptions): Promise<AsyncGenerator<Uint8Array> | null>;
}

export interface AcceptOptions {
  /** Content that came along with the task. Its hashes are right. */
  readonly inline?: Inline;
  /** True: the sender has seen frames of the attempt. Then it is not started where it cannot be found. */
  readonly hasStarted?: boolean;
}

/** The end of an attempt that was canceled before it came. */
const CANCELED: ExitFrame = {
  type: "exit",
  lastSeq: 0,
  exitCode: null,
  signal: null,
  reason: "canceled",
  error: null,
};

/**
 * The attempts of this runner, whatever carries its tasks: each is started at most once, ever, and can be followed from
 * any frame until its spool is forgotten.
 */
export class Attempts {
  readonly #live = new Map<string, Attempt>();
  readonly #refusals: Refusals;
  #isStopping = false;
  #isEnding = false;

  constructor(private readonly deps: AttemptsDeps) {
    this.#refusals = new Refusals(deps);
  }

  /** Settles what a crash left: an exit in the spool is an end, everything else is lost for ever. */
  async settleAfterCrash(): Promise<void> {
    const { ledger, clock, logger } = this.deps;
    for (const attemptId of ledger.accepted()) {
      const spool = await Spool.openEnded(spoolPath(this.deps, attemptId), attemptId);
      await spool?.close();
      await ledger.end(attemptId, spool ? "ended" : "lost", clock());
      if (!spool) logger.warn("an attempt was lost with the runner that ran it", { attemptId });
    }
  }

  /** How many slots are taken. One is free as soon as its exit is written. */
  get running(): number {
    return [...this.#live.values()].filter((attempt) => !attempt.isOver).length;
  }

  get isStopping(): boolean {
    return this.#isStopping;
  }

  /** Whether a task is begun now; a stopping runner begins only what an open transaction needs. */
  mayStart(isOfTransaction: boolean): boolean {
    return !this.#isStopping || (isOfTransaction && !this.#isEnding);
  }

  isRunning(attemptId: string): boolean {
    return this.#live.has(attemptId);
  }

  /** True for an attempt that has run or was refused here, or does so now. */
  knows(attemptId: string): boolean {
    return (
      this.#live.has(attemptId) ||
      this.#refusals.underWay(attemptId) !== undefined ||
      this.deps.ledger.stateOf(attemptId) !== null
    );
  }

  /** The content that running attempts use. */
  inUse(): Set<string> {
    return new Set([...this.#live.values()].flatMap(({ task }) => contentOf(task)));
  }

  /**
   * Starts an attempt, or finds the one that was started before. @throws {ExecutorError}
   */
  async accept(task: Task, options: AcceptOptions = {}): Promise<Followable> {
    const { attemptId, runId, epoch } = task;
    const known = await this.#known(attemptId, { epoch, runId });
    if (known) return known;
    if (this.knows(attemptId)) return this.accept(task, options); // a twin of this request, or a cancel, was faster
    if (options.hasStarted) throw new ExecutorError("ATTEMPT_UNKNOWN", `Attempt ${attemptId} was never started here`);
    checkTask(task, this.#inHand(task), this.deps);
    const { inline = new Map() } = options;
    const attempt = new Attempt(task, inline, this.deps.logger, this.deps.clock, () => this.#kill(attemptId));
    this.#live.set(attemptId, attempt);
    const leave = () => {
      this.#live.delete(attemptId);
      attempt.settled.resolve();
    };
    attempt.accepted = startAttempt(this.deps, attempt, leave);
    attempt.accepted.catch(leave);
    await attempt.accepted;
    return this.#followable(attempt);
  }

  /** Finds an attempt that was started before. @throws {ExecutorError} ATTEMPT_UNKNOWN, ATTEMPT_LOST, STALE_EPOCH */
  async find(attemptId: string, epoch: number | null): Promise<Followable> {
    const known = await this.#known(attemptId, { epoch });
    if (!known) throw new ExecutorError("ATTEMPT_UNKNOWN", `Attempt ${attemptId} was never started here`);
    return known;
  }

  /** Says that attempts are still wanted. */
  asked(attemptIds: readonly string[]): void {
    for (const attemptId of attemptIds) this.#live.get(attemptId)?.asked();
  }

  /**
   * Ends an attempt's processes; one that has ended is let be. One that never came is refused from now on: its task may
   * still be on its way, and must not start after its cancel. @throws {ExecutorError} ATTEMPT_UNKNOWN
   */
  async cancel(attemptId: string, mode: CancelMode): Promise<"running" | "ended"> {
    const attempt = this.#live.get(attemptId);
    if (attempt && !attempt.isOver) {
      await attempt.accepted;
      attempt.asked();
      await this.deps.executor.cancel(attemptId, mode).catch((error: unknown) => {
        if (!(error instanceof ExecutorError) || error.code !== "ATTEMPT_UNKNOWN") throw error; // it has just ended
      });
      return "running";
    }
    if (attempt || this.deps.ledger.stateOf(attemptId) !== null) return "ended";
    await this.refuse(attemptId, CANCELED);
    throw new ExecutorError("ATTEMPT_UNKNOWN", `Attempt ${attemptId} was never started here, and will not be`);
  }

  /** Ends an attempt that never started, so that it never will. One that is known already is let be. */
  refuse(attemptId: string, exit: ExitFrame): Promise<void> {
    const known = this.#refusals.underWay(attemptId);
    if (known) return known;
    return this.knows(attemptId) ? Promise.resolve() : this.#refusals.write(attemptId, exit);
  }

  /** What is left of an attempt that was lost, from a frame on, and an exit that says so. */
  remains(attemptId: string, fromSeq: number): AsyncGenerator<Uint8Array> {
    return remainsOf(spoolPath(this.deps, attemptId), attemptId, fromSeq);
  }

  /** Removes the frames of an attempt whose end is known elsewhere. The ledger goes on to remember it. */
  async forget(attemptId: string): Promise<void> {
    await this.#live.get(attemptId)?.settled.promise;
    await rm(spoolPath(this.deps, attemptId), { force: true });
  }

  /** Takes no new tasks but the steps of open transactions, which are one piece of work (G21). */
  takeNoMore(): void {
    this.#isStopping = true;
  }

  /** Takes no new tasks at all, and kills all that runs. */
  endAll(reason: KillReason): void {
    this.#isStopping = true;
    this.#isEnding = true;
    for (const attempt of this.#live.values()) attempt.killFor(reason);
  }

  /**
   * Takes no new work, and waits until the last task has ended and no transaction is open, or the limit has passed; then
   * kills what is left.
   */
  async drain(limitMs: number, killWaitMs: number, transactions: Promise<void> = Promise.resolve()): Promise<void> {
    this.takeNoMore();
    if (await this.#allSettled(limitMs, transactions)) return;
    const message = `The runner was stopped, and the attempt did not end within ${limitMs} ms`;
    this.endAll({ code: "DRAIN_TIMEOUT", message });
    await this.#allSettled(killWaitMs);
  }

  /** An attempt that runs or has ended here; null where none has. */
  async #known(
    attemptId: string,
    { epoch, runId }: { epoch: number | null; runId?: string },
  ): Promise<Followable | null> {
    await this.#refusals.underWay(attemptId);
    const { ledger, clock } = this.deps;
    const live = this.#live.get(attemptId);
    const run = live?.runId ?? runId;
    const seen = run === undefined ? -1 : Math.max(ledger.epochOf(run), live?.task.epoch ?? -1);
    if (epoch !== null && epoch < seen) {
      throw new ExecutorError("STALE_EPOCH", `Epoch ${epoch} is over: the run has an owner with epoch ${seen}`);
    }
    if (!live) return ledger.stateOf(attemptId) === null ? null : this.#stored(attemptId);
    live.asked();
    if (epoch !== null && epoch > seen) {
      await trusted(this.deps, ledger.raiseEpoch(live.runId, epoch, clock()));
      live.takeOver(epoch);
    }
    return this.#followable(live);
  }

  #followable(attempt: Attempt): Followable {
    return {
      follow: async (options) => {
        await attempt.accepted;
        if (!attempt.isOver) return attempt.follow(options);
        await attempt.settled.promise;
        return (await this.#stored(attempt.attemptId)).follow(options);
      },
    };
  }

  /** @throws {ExecutorError} ATTEMPT_LOST where the spool does not hold the exit. */
  async #stored(attemptId: string): Promise<Followable> {
    const isLost = this.deps.ledger.stateOf(attemptId) === "lost";
    const spool = isLost ? null : await Spool.openEnded(spoolPath(this.deps, attemptId), attemptId);
    if (!spool)
      throw new ExecutorError("ATTEMPT_LOST", `Attempt ${attemptId} was started here, and its outcome is not known`);
    const log = new FrameLog(spool);
    return {
      follow: async ({ fromSeq, signal }) => {
        const lines = await log.readFrom(fromSeq, signal);
        await log.end(); // the file is closed with this reader
        return lines;
      },
    };
  }

  #inHand({ transaction }: Task): InHand {
    const tasks = [...this.#live.values()].map(({ task }) => task);
    return { tasks, taken: this.running, mayStart: this.mayStart(transaction !== null) };
  }

  #kill(attemptId: string): void {
    this.deps.executor.cancel(attemptId, "kill").catch((error: unknown) => {
      this.deps.logger.error("an attempt could not be killed", { attemptId, error });
    });
  }

  async #allSettled(limitMs: number, first: Promise<void> = Promise.resolve()): Promise<boolean> {
    const late = Promise.withResolvers<false>();
    const timer = setTimeout(late.resolve, Math.min(limitMs, LONGEST_TIMER_MS), false);
    const all = () => Promise.all([...this.#live.values()].map((attempt) => attempt.settled.promise));
    const settled = first.then(all).then(() => true);
    const result = await Promise.race([settled, late.promise]);
    clearTimeout(timer);
    return result;
  }
}

/** Longest delay that a timer takes, in milliseconds. Source: Node's setTimeout. */
const LONGEST_TIMER_MS = 2_147_483_647;
