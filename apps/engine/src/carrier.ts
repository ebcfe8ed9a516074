import type { AttemptRef, Db, Tx } from "@maia/db";
import type { AttemptEnd, Clock } from "@maia/domain";
import { afterOwnLines, endUnheard, type Landing, landFrames, recordLimits } from "@maia/record";
import { type CancelMode, type Executor, ExecutorError, type Frame } from "@maia/runner-protocol";
import type { SecretBox } from "@maia/secrets";
import type { Logger } from "@maia/service";
import type { BlobStore } from "@maia/storage";
import { buildTask, type TaskRules } from "@maia/tasks";
import { type Advanced, type Advancer, advanceRun } from "./advance.js";
import { type Flight, type InHand, onGround } from "./flights.js";
import { drained, judgeError } from "./judgement.js";
import { LetGo, type PackagesDeps, packagesOf, StoppedBeforeStart } from "./packages.js";
import { Backoff, pause } from "./pause.js";
import type { Pinnings } from "./pinning.js";
import type { Slots } from "./slots.js";
import type { Writes } from "./writes.js";

/** Ledgers of this kind belong to the engine's own processes, and end with it. */
export const LOCAL_LEDGER = "local:";
/** Between two tries to deliver a cancel, in milliseconds. Source: a tenth of CANCEL_DELIVERY_MS. */
const REPEAT_CANCEL_MS = 200;

export interface CarrierDeps {
  readonly db: Db;
  readonly blobs: BlobStore;
  readonly secrets: SecretBox;
  readonly executor: Executor;
  readonly slots: Slots;
  readonly writes: Writes;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly rules: TaskRules;
  readonly stopped: AbortSignal;
  readonly pinnings: Pinnings;
  readonly advancer: () => Advancer;
  /** Told what a write that ended an attempt leaves to be done; null: the attempt was not ours to end. */
  readonly landed: (inHand: InHand, advanced: Advanced | null) => void;
  /** Told of a run whose attempt has ended although that cannot be written. */
  readonly broken: (inHand: InHand, error: unknown) => Promise<void>;
}

/** What an attempt is sent with. */
export interface CarriedAttempt {
  readonly ref: AttemptRef;
  readonly token: string;
  /** The text of its `input.json`. */
  readonly input: string;
  /** The ledger that it is bound to. */
  readonly ledgerId: string;
}

/** Carries attempts from their task to their end, whatever happens to the stream of their frames. */
export class Carrier {
  readonly #flights = new Map<string, Flight>();

  readonly #packages: PackagesDeps;

  constructor(private readonly deps: CarrierDeps) {
    const { writes, clock, pinnings } = deps;
    const isOurs = (flight: Flight) => this.#flights.get(flight.ref.id) === flight;
    this.#packages = { pinnings, writes, clock, isOurs };
  }

  get size(): number {
    return this.#flights.size;
  }

  /** True when steps run as processes of this engine, and so end with it. */
  get isLocal(): boolean {
    return this.ledgerId?.startsWith(LOCAL_LEDGER) ?? false;
  }

  /** Whose ledger new attempts are bound to; null while the executor has not been reached. */
  get ledgerId(): string | null {
    try {
      return this.deps.executor.ledgerId;
    } catch {
      return null;
    }
  }

  /** Takes an attempt in hand: sends its task, then follows it. Sending it again re-attaches where it has started. */
  carry(inHand: InHand, attempt: CarriedAttempt, so = { lastSeq: 0, seqBase: 0 }): void {
    const flight: Flight = { ...onGround(inHand, attempt.ref), ...so };
    this.#flights.set(flight.ref.id, flight);
    void this.#fly(flight, () => this.#send(flight, attempt))
      .catch(async (error: unknown) => {
        this.deps.logger.error("an attempt could not be followed", { attemptId: flight.ref.id, error });
        this.deps.slots.give();
        if (!flight.isLetGo) await this.deps.broken(flight, error);
      })
      .catch((error: unknown) => this.deps.logger.error("a run could not be set aside", { error }));
  }

  /** Ends an attempt that has nobody left to report about it. */
  async lose(inHand: InHand, ref: AttemptRef, end: AttemptEnd): Promise<void> {
    await this.#end(onGround(inHand, ref), end);
  }

  /** Asks for the end of an attempt, and goes on asking until the executor has heard it. */
  cancel(attemptId: string, mode: CancelMode): void {
    const flight = this.#flights.get(attemptId);
    if (!flight) return;
    flight.stop = mode;
    flight.leave?.();
    this.deps.executor.cancel(attemptId, mode).catch((error: unknown) => {
      const unknown = error instanceof ExecutorError && error.code === "ATTEMPT_UNKNOWN";
      if (!unknown) this.deps.logger.warn("a cancel could not be delivered yet", { attemptId, error });
      const again = () =>
        this.#flights.get(attemptId) === flight && flight.stop === mode && this.cancel(attemptId, mode);
      void pause(REPEAT_CANCEL_MS, this.deps.stopped).then(again);
    });
  }

  /** Ends every attempt because the engine stops; they count as lost, not as canceled. */
  killAll(): void {
    for (const flight of this.#flights.values()) {
      flight.draining = true;
      this.cancel(flight.ref.id, "kill");
    }
  }

  /** Lets go of the attempts of a run that has another owner. Processes of our own end; a runner's are the owner's now. */
  letGoOf(runId: string): void {
    for (const flight of this.#flights.values()) if (flight.run.id === runId) this.#letGo(flight);
  }

  /** Ends the attempts of a run that nobody carries on. */
  killAllOf(runId: string): void {
    for (const flight of this.#flights.values()) {
      if (flight.run.id !== runId) continue;
      this.#setDown(flight);
      this.deps.executor.cancel(flight.ref.id, "kill").catch(() => {});
    }
  }

  async *#send(flight: Flight, attempt: CarriedAttempt): AsyncGenerator<readonly Frame[]> {
    const { rules, executor } = this.deps;
    const deps = await packagesOf(flight, this.#packages);
    const { task, find } = await buildTask(this.deps, flight.run, flight.version, { ...attempt, deps }, rules);
    if (flight.stop !== null && flight.lastSeq === flight.seqBase && this.isLocal) throw new StoppedBeforeStart();
    if (flight.isLetGo) throw new LetGo();
    const fromSeq = flight.lastSeq - flight.seqBase + 1;
    for await (const frames of executor.start(task, find, { ledgerId: attempt.ledgerId, fromSeq }))
      yield afterOwnLines(flight.seqBase, frames);
  }

  async #fly(flight: Flight, open: () => AsyncIterable<readonly Frame[]>): Promise<void> {
    const backoff = new Backoff();
    try {
      while (!this.deps.stopped.aborted) {
        try {
          if ((await this.#consume(flight, open())) === "over") return;
          backoff.reset();
        } catch (error) {
          if (this.deps.stopped.aborted) return;
          if (flight.isLetGo || error instanceof LetGo) return this.#refused(flight);
          const end = this.#judge(error, flight);
          if (end) return await this.#end(flight, end);
        }
        await pause(backoff.next(), this.deps.stopped);
      }
    } finally {
      if (this.#flights.get(flight.ref.id) === flight) this.#flights.delete(flight.ref.id);
    }
  }

  /** Records what a stream brings. "again": it broke off or has a gap, so ask for the rest. */
  async #consume(flight: Flight, stream: AsyncIterable<readonly Frame[]>): Promise<"over" | "again"> {
    for await (const frames of stream) {
      if (!flight.isLetGo && frames.every((frame) => frame.type === "heartbeat")) continue;
      const landing = await this.#record(flight, frames);
      if (landing.kind === "flying") flight.lastSeq = landing.lastSeq;
      else if (landing.kind === "landed") return "over";
      else if (landing.kind === "gap") {
        flight.lastSeq = landing.fromSeq - 1;
        return "again";
      } else {
        this.#refused(flight);
        return "over";
      }
    }
    if (this.isLocal) throw new ExecutorError("ATTEMPT_LOST", "The process that ran the step is gone");
    return "again";
  }

  async #record(flight: Flight, frames: readonly Frame[]): Promise<Landing> {
    const now = this.deps.clock();
    const instead = flight.draining ? drained() : null;
    const limits = recordLimits(this.deps.rules.limits.logAttemptMax);
    // Asked inside of the write, which may have waited for its turn: our kill ends an attempt that is not ours to end.
    const land = async (tx: Tx): Promise<Landing> =>
      flight.isLetGo ? { kind: "refused" } : await landFrames(tx, flight.ref, frames, instead, now, limits);
    if (!frames.some((frame) => frame.type === "exit")) return this.deps.writes.patiently(land);
    return this.#ending(flight, land, now);
  }

  async #end(flight: Flight, end: AttemptEnd): Promise<void> {
    const now = this.deps.clock();
    const ending = async (tx: Tx): Promise<Landing> => {
      if (flight.isLetGo) return { kind: "refused" };
      await endUnheard(tx, flight.ref, end, now);
      return { kind: "landed" };
    };
    const landing = await this.#ending(flight, ending, now);
    if (landing.kind === "refused") this.#refused(flight);
  }

  /** Ends an attempt and advances its run in one write; the slot it held is there for the run's next step. */
  async #ending(flight: Flight, ending: (tx: Tx) => Promise<Landing>, now: Date): Promise<Landing> {
    const { slots, writes, advancer, landed } = this.deps;
    slots.give();
    let over = false;
    try {
      const { landing, advanced } = await writes.withSlots(async (tx, hold) => {
        const landing = await ending(tx);
        if (landing.kind !== "landed") return { landing, advanced: null };
        return { landing, advanced: await advanceRun(tx, flight.run, flight.version, advancer(), hold, now) };
      });
      over = landing.kind === "landed";
      if (over) landed({ run: flight.run, version: flight.version }, advanced);
      return landing;
    } finally {
      if (!over) slots.take();
    }
  }

  /** The attempt is over already, or somebody else's. */
  #refused(flight: Flight): void {
    this.#letGo(flight);
    this.deps.slots.give();
    this.deps.landed(flight, null);
  }

  /** From here on nothing is recorded of the attempt, and it is not sent again. */
  #setDown(flight: Flight): void {
    flight.isLetGo = true;
    if (this.#flights.get(flight.ref.id) === flight) this.#flights.delete(flight.ref.id);
    flight.leave?.();
  }

  #letGo(flight: Flight): void {
    this.#setDown(flight);
    if (this.isLocal) this.deps.executor.cancel(flight.ref.id, "kill").catch(() => {}); // gone already: nothing to end
  }

  /** What an error says about the attempt; null: the executor may be asked again. */
  #judge(error: unknown, flight: Flight): AttemptEnd | null {
    const end = judgeError(error, flight, this.isLocal);
    if (end !== undefined) return end;
    this.deps.logger.error("an executor failed", { error });
    this.deps.executor.cancel(flight.ref.id, "kill").catch(() => {});
    return { move: "fail", failure: { code: "INTERNAL", message: "The executor failed; Maia's log says why" } };
  }
}
