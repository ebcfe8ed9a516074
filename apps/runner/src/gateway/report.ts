import { type ArtifactFrame, ExecutorError, encodeFrame } from "@maia/runner-protocol";
import { type GatewayClient, GatewayError, type HeldAttempt } from "@maia/runner-protocol/client";
import type { Logger } from "@maia/service";
import type { BlobStore } from "@maia/storage";
import { lostExit } from "../attempts/attempt.js";
import type { Attempts } from "../attempts/attempts.js";
import { Backoff, pause } from "./backoff.js";
import { linesBefore, readLines } from "./lines.js";
import { BytesGoneError, Uploads } from "./uploads.js";

export interface ReportDeps {
  readonly client: GatewayClient;
  readonly attempts: Attempts;
  readonly blobs: BlobStore;
  readonly logger: Logger;
  /** Told that another process speaks for this instance. */
  readonly onSuperseded: () => void;
  readonly signal: AbortSignal;
}

const RETRY_MS = { first: 200, most: 10_000 } as const;
/** How often the gateway may call the same frames unacceptable before the attempt is given up. */
const REFUSALS = 5;
/** How long frames wait for those that come right after, unless the exit is among them: each request is a commit. */
const LINGER_MS = 10;
const HEARTBEAT = Buffer.from(encodeFrame({ type: "heartbeat" }));

/**
 * Brings the frames of one attempt from its spool to the gateway, each at least once and in order, until the gateway has
 * confirmed the end. What it has confirmed decides where to go on; so nothing about the sending needs to be remembered.
 */
export class Report {
  readonly #uploads: Uploads;
  readonly #backoff = new Backoff(RETRY_MS.first, RETRY_MS.most);
  #isConfirmed = false;
  #refusals = 0;
  #misses = 0;
  /** Why the frames cannot be delivered, where they cannot. */
  #problem: string | null = null;

  constructor(
    private readonly deps: ReportDeps,
    private readonly attempt: HeldAttempt,
    /** The frame to send next; null: the gateway may have some already, and is asked. */
    private nextSeq: number | null,
  ) {
    this.#uploads = new Uploads(deps, attempt);
  }

  /** Returns when the end is confirmed (true), or the signal is aborted. */
  async run(): Promise<boolean> {
    const { signal } = this.deps;
    while (!this.#isConfirmed && !signal.aborted) {
      try {
        await this.#uploads.bringMissing();
        await this.#send(this.nextSeq ?? (await this.#ask()));
      } catch (error) {
        await this.#recover(error);
      }
      if (!this.#isConfirmed) await pause(this.#backoff.next(), signal);
    }
    return this.#isConfirmed;
  }

  /** Asks how far the gateway is. */
  async #ask(): Promise<number> {
    await this.#post(HEARTBEAT);
    return this.nextSeq!;
  }

  /** Sends lines from a frame on; returns at the end, and where the gateway wants others than come next. */
  async #send(fromSeq: number): Promise<void> {
    if (this.#isConfirmed) return;
    let nextSeq = fromSeq;
    for await (const lines of await this.#lines(fromSeq)) {
      const { numbered, artifacts } = readLines(lines);
      if (this.#problem === null) await this.#bringSmall(artifacts, lines);
      await this.#post(lines);
      nextSeq += numbered;
      if (this.#isConfirmed || this.nextSeq !== nextSeq) return;
    }
  }

  /** Brings the bytes of artifacts; where some are gone, the lines before them at least. */
  async #bringSmall(artifacts: readonly ArtifactFrame[], lines: Uint8Array): Promise<void> {
    try {
      await this.#uploads.bringSmall(artifacts);
    } catch (error) {
      const before = error instanceof BytesGoneError ? linesBefore(lines, error.sha256) : new Uint8Array();
      if (before.length > 0) await this.#post(before);
      throw error;
    }
  }

  async #post(lines: Uint8Array): Promise<void> {
    const { client, signal } = this.deps;
    const { ackedSeq, ended } = await client.frames(this.attempt, lines, signal);
    if (this.nextSeq === null || ackedSeq >= this.nextSeq) this.#backoff.reset();
    this.nextSeq = ackedSeq + 1;
    this.#isConfirmed = ended;
    [this.#refusals, this.#misses] = [0, 0];
  }

  async #lines(fromSeq: number): Promise<AsyncIterable<Uint8Array>> {
    const { attempts, signal } = this.deps;
    const { attemptId } = this.attempt;
    if (this.#problem !== null) return givenUp(fromSeq, this.#problem);
    try {
      const found = await attempts.find(attemptId, null);
      const lines = await found.follow({ fromSeq, epoch: null, promisesToAsk: true, lingerMs: LINGER_MS, signal });
      return lines ?? attempts.remains(attemptId, fromSeq);
    } catch (error) {
      if (error instanceof ExecutorError && error.code === "ATTEMPT_LOST") return attempts.remains(attemptId, fromSeq);
      throw error;
    }
  }

  async #recover(error: unknown): Promise<void> {
    const { signal, logger, onSuperseded } = this.deps;
    const { attemptId } = this.attempt;
    if (signal.aborted) return;
    if (error instanceof ExecutorError && error.code === "ATTEMPT_UNKNOWN") {
      this.#isConfirmed = true; // a crash came between the token and the ledger: it never started, and is not owed
      return;
    }
    if (error instanceof BytesGoneError) return this.#giveUp(error.message);
    if (!(error instanceof GatewayError)) {
      logger.error("the frames of an attempt could not be read", { attemptId, error });
      return;
    }
    switch (error.code) {
      case "ATTEMPT_ENDED":
        return this.#drop(error);
      case "NOT_FOUND": // perhaps only until the next hello
        return ++this.#misses < REFUSALS ? undefined : this.#drop(error);
      case "SUPERSEDED":
        return onSuperseded();
      case "BLOB_MISSING":
        return this.#uploads.note(error.missing);
      case "REFUSED":
        logger.error("the gateway refuses the frames of an attempt", { attemptId, error: error.message });
        return this.#refused(error.message);
      default:
        logger.debug("the frames of an attempt have to wait", { attemptId, error: error.message });
        if (error.retryAfterMs !== null) await pause(error.retryAfterMs, signal);
    }
  }

  #drop({ code }: GatewayError): void {
    this.deps.logger.warn("the gateway does not want an attempt any more", { attemptId: this.attempt.attemptId, code });
    this.#isConfirmed = true;
  }

  /** Frames that stay unacceptable are given up, and so is an attempt of which not even the end is accepted. */
  async #refused(message: string): Promise<void> {
    if (++this.#refusals % REFUSALS !== 0) return;
    if (this.#problem === null) return this.#giveUp(`the gateway refuses its frames: ${message}`);
    this.#isConfirmed = true;
  }

  /** What cannot be delivered must not look like a success, nor be tried for ever: the attempt is lost. */
  async #giveUp(problem: string): Promise<void> {
    if (this.#problem !== null) return;
    this.#problem = problem;
    this.#uploads.note([]);
    const { attempts, logger } = this.deps;
    logger.error("an attempt is given up", { attemptId: this.attempt.attemptId, problem });
    await attempts.cancel(this.attempt.attemptId, "kill");
  }
}

async function* givenUp(fromSeq: number, message: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(encodeFrame(lostExit(fromSeq - 1, { code: "RUNNER_LOST", message })));
}
