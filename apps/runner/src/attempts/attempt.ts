import { setTimeout as delay } from "node:timers/promises";
import { ExecutorError, type ExitFrame, encodeFrames, type Frame, type Inline, type Task } from "@maia/runner-protocol";
import type { Logger } from "@maia/service";
import { isDiskFull } from "@maia/storage";
import { Followers, type FollowOptions } from "./followers.js";
import { FrameLog } from "./frame-log.js";
import { Passable } from "./passable.js";
import type { Spool } from "./spool.js";
import { Window } from "./window.js";

/** Why the runner itself killed a tree. */
export interface KillReason {
  readonly code: "RUNNER_LOST" | "DRAIN_TIMEOUT";
  readonly message: string;
}

/** Between two tries to write while the disk is full. In milliseconds. */
const DISK_FULL_RETRY_MS = 500;

/** An attempt that runs in this process: its frames go into its spool, and from there to whoever follows. */
export class Attempt {
  readonly attemptId: string;
  readonly runId: string;
  /** Settles when the ledger has taken the attempt, or has not. */
  accepted: Promise<void> = Promise.resolve();
  /** Settles when all is noted and nothing of it runs any more, or when it was not accepted. */
  readonly settled = Promise.withResolvers<void>();
  #log: FrameLog | null = null;
  #isOver = false;
  #killedFor: KillReason | null = null;
  readonly #followers = new Followers(() => this.asked());
  readonly #window: Window;

  constructor(
    readonly task: Task,
    /** Content that came along with the task. */
    readonly inline: Inline,
    private readonly logger: Logger,
    private readonly clock: () => Date,
    private readonly kill: () => void,
  ) {
    this.attemptId = task.attemptId;
    this.runId = task.runId;
    this.#window = new Window(task.reconnectWindowMs, () => this.#unasked());
  }

  /** True once no more frames will come. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Writes what the executor gives into the spool, up to an exit: the executor's, or one that says that it gave none. */
  async run(spool: Spool, start: () => AsyncIterable<readonly Frame[]>): Promise<void> {
    this.#log = new FrameLog(spool);
    this.asked();
    try {
      await this.#writeAll(this.#log, start);
    } finally {
      this.#isOver = true;
      this.#window.stop();
      await this.#log.end();
    }
  }

  /** The lines of the spool from a frame on. Null: that frame is beyond the next one. Only once accepted, and not when over. */
  async follow(options: FollowOptions): Promise<AsyncGenerator<Uint8Array> | null> {
    const follower = this.#followers.add(options);
    const lines = await this.#log!.readFrom(options.fromSeq, follower.signal, options.lingerMs);
    if (lines === null) follower.leave();
    return lines && this.#followers.until(follower, lines);
  }

  /** Somebody has asked about the attempt, so its window begins anew. */
  asked(): void {
    if (this.#isOver) return;
    if (this.#followers.keepAlive) this.#window.stop();
    else this.#window.restart();
  }

  /** Sends followers of older epochs away. */
  takeOver(epoch: number): void {
    this.#followers.sendAway(epoch);
  }

  /** Ends the tree for a reason of the runner's own; the exit will say it. */
  killFor(reason: KillReason): void {
    if (this.#isOver || this.#killedFor) return;
    this.#killedFor = reason;
    this.kill();
  }

  async #writeAll(log: FrameLog, start: () => AsyncIterable<readonly Frame[]>): Promise<void> {
    let seq = 0;
    let refusal: ExecutorError | null = null;
    const passable = new Passable(this.clock);
    try {
      for await (const batch of start()) {
        const frames = batch
          .filter(({ type }) => type !== "heartbeat" && type !== "exit")
          .map((frame) => passable.frame(frame));
        const exit = batch.find((frame) => frame.type === "exit");
        await this.#write(log, exit ? [...frames, this.#explained(passable.exit(exit), seq + frames.length)] : frames);
        seq += frames.length;
        if (exit) return;
      }
    } catch (error) {
      this.logger.error("an attempt could not be carried out", { attemptId: this.attemptId, error });
      if (seq === 0 && error instanceof ExecutorError && error.code !== "ATTEMPT_LOST") refusal = error;
    }
    await this.#write(log, [refusal ? refusedExit(refusal) : lostExit(seq, this.#killedFor)]);
  }

  /** A full disk holds the step up, by not reading on from it, and ends nothing. */
  async #write(log: FrameLog, frames: readonly Frame[]): Promise<void> {
    if (frames.length === 0) return;
    const text = encodeFrames(frames);
    for (let tries = 0; ; tries++) {
      try {
        return await log.append(text, frames.length);
      } catch (error) {
        if (!isDiskFull(error)) throw error;
        if (tries === 0)
          this.logger.error("the disk is full; an attempt waits for room", { attemptId: this.attemptId });
        await delay(DISK_FULL_RETRY_MS);
      }
    }
  }

  /** The executor knows only that the tree was killed; why, is known here. */
  #explained(exit: ExitFrame, seq: number): ExitFrame {
    if (exit.lastSeq !== seq) return lostExit(seq, this.#killedFor);
    return this.#killedFor && exit.reason === "canceled" ? { ...exit, reason: "lost", error: this.#killedFor } : exit;
  }

  #unasked(): void {
    const { reconnectWindowMs } = this.task;
    this.logger.warn("nobody has asked about an attempt; its processes are killed", {
      attemptId: this.attemptId,
      reconnectWindowMs,
    });
    this.killFor({
      code: "RUNNER_LOST",
      message: `Nobody asked the runner about the attempt for ${reconnectWindowMs} ms`,
    });
  }
}

/** The executor refused the task before anything was started. */
function refusedExit({ message }: ExecutorError): ExitFrame {
  return {
    type: "exit",
    lastSeq: 0,
    exitCode: null,
    signal: null,
    reason: "spawn_failed",
    error: { code: "STEP_SPAWN_FAILED", message },
  };
}

/** The end of an attempt whose processes nobody has any more. */
export function lostExit(lastSeq: number, reason: KillReason | null): ExitFrame {
  const error = reason ?? { code: "RUNNER_LOST", message: "The runner lost the attempt's processes" };
  return { type: "exit", lastSeq, exitCode: null, signal: null, reason: "lost", error };
}
