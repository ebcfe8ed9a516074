import {
  type CancelMode,
  type Executor,
  ExecutorError,
  type FindContent,
  type Frame,
  type Inline,
  type IsolationLevel,
  MAX_INLINE_BYTES,
  type StartOptions,
  type Task,
} from "@maia/runner-protocol";
import { type FrameStream, RunnerClient } from "@maia/runner-protocol/client";
import { Backoff, pause } from "./pause.js";
import { RemoteBlobs } from "./remote-blobs.js";
import { followFrames } from "./remote-follow.js";

export interface RemoteExecutorOptions {
  readonly url: string;
  readonly token: string;
  /** Stores an artifact's bytes here and says what they were. */
  readonly keep: (bytes: AsyncIterable<Uint8Array>) => Promise<{ sha256: string; sizeBytes: number }>;
  /** Whether bytes are here already; without it, every artifact is fetched. */
  readonly has?: (sha256: string) => Promise<boolean>;
  /** A stream that brings not one byte for so long is dead. In milliseconds. */
  readonly idleMs: number;
  /** How long the runner keeps an attempt that nobody asks about. In milliseconds. */
  readonly reconnectWindowMs: number;
  /** Added to the window before contact is given up, so that the runner has killed the tree by then. In milliseconds. */
  readonly marginMs?: number;
  readonly log: (level: "info" | "warn" | "error", message: string, fields?: object) => void;
}

/** A runner elsewhere, as an executor. */
export interface RemoteExecutor extends Executor {
  /** Reaches the runner and learns its ledger. @throws {ExecutorError} UNREACHABLE */
  connect(): Promise<string>;
}

/** Default of `marginMs`. */
const MARGIN_MS = 5_000;
/** Longest wait for the head of an answer. In milliseconds. */
const ANSWER_MOST_MS = 30_000;
/** Longest time between two signs of life for attempts that are followed. In milliseconds. */
const ALIVE_MOST_MS = 10_000;
/** Rounds of uploads for one task; content may be collected between two of them, but not for ever. */
const MOST_UPLOADS = 3;
/** Attempts whose ledger is remembered. */
const MOST_BOUND = 10_000;

/**
 * Opens the runner that an engine dials. It need not be up: its ledger is learnt as soon as it is, and `ledgerId` throws
 * until then.
 */
export async function openRemoteExecutor(options: RemoteExecutorOptions): Promise<RemoteExecutor> {
  const executor = new DialledRunner(options);
  await executor.connect().catch((error: unknown) => {
    options.log("warn", "the runner cannot be reached yet", { url: options.url, error });
    void executor.keepConnecting();
  });
  return executor;
}

class DialledRunner implements RemoteExecutor {
  readonly #client: RunnerClient;
  readonly #blobs: RemoteBlobs;
  readonly #stopped = new AbortController();
  readonly #aliveMs: number;
  readonly #marginMs: number;
  /** Which ledger an attempt was sent to first; no other may start it. */
  readonly #bound = new Map<string, string>();
  readonly #followed = new Set<string>();
  #ledgerId: string | null = null;
  #isolation: IsolationLevel = "process-group";
  #connecting = false;
  #alive: NodeJS.Timeout | null = null;

  constructor(private readonly options: RemoteExecutorOptions) {
    const { url, token, idleMs, keep, has = async () => false, reconnectWindowMs, marginMs = MARGIN_MS, log } = options;
    this.#client = new RunnerClient({ url, token, idleMs, answerMs: Math.min(idleMs, ANSWER_MOST_MS) });
    this.#aliveMs = Math.max(1, Math.min(ALIVE_MOST_MS, Math.floor(reconnectWindowMs / 4)));
    this.#marginMs = marginMs;
    const silenceMs = reconnectWindowMs + marginMs;
    this.#blobs = new RemoteBlobs({
      client: this.#client,
      keep,
      has,
      silenceMs,
      signal: this.#stopped.signal,
      log: (message, fields) => log("warn", message, fields),
    });
  }

  get ledgerId(): string {
    if (this.#ledgerId === null) throw new ExecutorError("UNREACHABLE", "The runner has not been reached yet");
    return this.#ledgerId;
  }

  get isolation(): IsolationLevel {
    return this.#isolation;
  }

  async connect(): Promise<string> {
    const { ledgerId, isolation } = await this.#client.healthz();
    if (this.#ledgerId !== ledgerId)
      this.options.log("info", "the runner is there", { url: this.options.url, ledgerId, isolation });
    this.#ledgerId = ledgerId;
    this.#isolation = isolation;
    return ledgerId;
  }

  /** Goes on trying to reach the runner until it answers. */
  async keepConnecting(): Promise<void> {
    if (this.#connecting) return;
    this.#connecting = true;
    const backoff = new Backoff();
    for (let reached = false; !reached && !this.#stopped.signal.aborted; ) {
      await pause(backoff.next(), this.#stopped.signal);
      reached = await this.connect().then(
        () => true,
        () => false,
      );
    }
    this.#connecting = false;
  }

  async *start(
    task: Task,
    find: FindContent,
    { ledgerId, fromSeq = 1 }: StartOptions = {},
  ): AsyncGenerator<readonly Frame[]> {
    const bound = this.#bind(task.attemptId, ledgerId);
    let accepted = false;
    const open = async (seq: number): Promise<FrameStream> => {
      if (accepted) return this.#attach(task.attemptId, seq, bound, task.epoch);
      const stream = await this.#send(task, find, bound, seq);
      accepted = true;
      return stream;
    };
    yield* this.#follow(task.attemptId, fromSeq, task.reconnectWindowMs, open);
  }

  async *attach(attemptId: string, fromSeq: number): AsyncGenerator<readonly Frame[]> {
    const bound = this.#bind(attemptId);
    const open = (seq: number) => this.#attach(attemptId, seq, bound);
    yield* this.#follow(attemptId, fromSeq, this.options.reconnectWindowMs, open);
  }

  async cancel(attemptId: string, mode: CancelMode): Promise<void> {
    await this.#client.cancel(attemptId, mode, this.#bound.get(attemptId));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort();
    if (this.#alive) clearInterval(this.#alive);
    this.#client.close();
  }

  async *#follow(
    attemptId: string,
    fromSeq: number,
    windowMs: number,
    open: (fromSeq: number) => Promise<FrameStream>,
  ): AsyncGenerator<readonly Frame[]> {
    this.#sayAliveFor(attemptId);
    try {
      yield* followFrames({
        attemptId,
        fromSeq,
        silenceMs: windowMs + this.#marginMs,
        signal: this.#stopped.signal,
        open,
        prepare: (frames) => this.#blobs.bringArtifacts(frames),
        log: (message, fields) => this.options.log("warn", message, fields),
      });
      this.#bound.delete(attemptId); // its exit is here
    } catch (error) {
      if (error instanceof ExecutorError && error.code === "LEDGER_CHANGED") this.#forgetLedger();
      throw error;
    } finally {
      this.#followed.delete(attemptId);
    }
  }

  async #send(task: Task, find: FindContent, ledgerId: string, fromSeq: number): Promise<FrameStream> {
    const inline = inlineOf(task, find);
    const options = { ledgerId, fromSeq, inline, aliveMs: this.#aliveMs, signal: this.#stopped.signal };
    for (let uploads = 0; ; uploads++) {
      try {
        return await this.#client.exec(task, options);
      } catch (error) {
        if (!(error instanceof ExecutorError) || error.code !== "BLOB_MISSING" || uploads >= MOST_UPLOADS) throw error;
        await this.#blobs.upload(error.missing, find);
      }
    }
  }

  #attach(attemptId: string, fromSeq: number, ledgerId: string, epoch?: number): Promise<FrameStream> {
    const options = {
      ledgerId,
      aliveMs: this.#aliveMs,
      signal: this.#stopped.signal,
      ...(epoch === undefined ? {} : { epoch }),
    };
    return this.#client.attach(attemptId, fromSeq, options);
  }

  /** The ledger that an attempt belongs to. @throws {ExecutorError} UNREACHABLE while none is known */
  #bind(attemptId: string, ledgerId?: string): string {
    const bound = ledgerId ?? this.#bound.get(attemptId) ?? this.ledgerId;
    if (!this.#bound.has(attemptId) && this.#bound.size >= MOST_BOUND)
      this.#bound.delete(this.#bound.keys().next().value!);
    this.#bound.set(attemptId, bound);
    return bound;
  }

  #forgetLedger(): void {
    this.#ledgerId = null;
    void this.keepConnecting();
  }

  /** Names the attempts that are followed from time to time: an open connection proves nothing, it may be half dead. */
  #sayAliveFor(attemptId: string): void {
    this.#followed.add(attemptId);
    this.#alive ??= setInterval(() => {
      if (this.#followed.size === 0) return;
      this.#client.alive([...this.#followed]).catch(() => {}); // the streams notice by themselves
    }, this.#aliveMs).unref();
  }
}

/** Every attempt has an input of its own, so the runner never has it: a small one goes along with the task. */
function inlineOf({ kind, input }: Task, find: FindContent): Inline {
  const content = kind === "step" ? find(input.sha256) : null;
  const isSmall = content !== null && "bytes" in content && content.bytes.length <= MAX_INLINE_BYTES;
  return new Map(isSmall ? [[input.sha256, content.bytes]] : []);
}
