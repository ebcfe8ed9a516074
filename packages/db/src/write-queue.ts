import { AsyncLocalStorage } from "node:async_hooks";
import { setImmediate as nextTurn } from "node:timers/promises";
import { MaiaError } from "@maia/domain";
import { codeOf, type Trouble } from "./errors.js";
import type { Writer } from "./providers/provider.js";
import { SharedTx } from "./tx.js";
import type { BellTopic, Tx } from "./types.js";

/** How many callbacks share a commit at most, so that other processes get their turn at the lock. */
const GROUP_MAX = 256;
/** The pause between two tries for the lock grows to this, in milliseconds. A try costs some microseconds. */
const RETRY_MAX_MS = 8;
/** How long to stay away from the lock when another process has asked for it, in milliseconds. */
const GIVE_WAY_MS = 3;

/** The other processes that want the lock. SQLite does not queue for it, so without a word the busiest takes it all. */
export interface Others {
  /** Tells them that we wait. */
  sayWaiting(): void;
  /** Waits until one of them commits, `ms` milliseconds at the most. */
  pause(ms: number): Promise<void>;
}

export interface WriteQueueOptions {
  readonly others: Others;
  /** How long a write may wait for the lock. */
  readonly retryBudgetMs: number;
  /** Hears of every commit, with the topics to ring for. */
  readonly onCommit: (topics: ReadonlySet<BellTopic>) => void;
  /** Called when the disk failed under a write. */
  readonly onFatal: (error: unknown) => void;
}

interface Write {
  readonly fn: (tx: Tx) => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  readonly askedAt: number;
}

/** What came of one callback, to be told once the shared transaction has ended. */
type Outcome = { readonly value: unknown; readonly topics: ReadonlySet<BellTopic> } | { readonly error: unknown };

/** The tx of the callback that runs, seen by whatever it calls. */
const insideWrite = new AsyncLocalStorage<SharedTx>();

/** The line before the writer. Writes that wait together share one transaction, each in a savepoint of its own. */
export class WriteQueue {
  #waiting: Write[] = [];
  #pump: Promise<void> | null = null;
  #closed: Error | null = null;
  #askedForTheLock = false;

  constructor(
    private readonly writer: Writer,
    private readonly options: WriteQueueOptions,
  ) {}

  /** Carries out a write; see `Db.write`. */
  write<T>(fn: (tx: Tx) => Promise<T> | T): Promise<T> {
    if (insideWrite.getStore()?.ended === false) {
      return Promise.reject(new Error("db.write inside a write would wait for itself: use the tx that is there"));
    }
    if (this.#closed) return Promise.reject(this.#closed);
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ fn, resolve: resolve as (value: unknown) => void, reject, askedAt: performance.now() });
      this.#pump ??= this.#work();
    });
  }

  /** Leaves the lock to another process once. */
  giveWay(): void {
    this.#askedForTheLock = true;
  }

  /** Finishes the writes that wait and takes no more. */
  async close(): Promise<void> {
    this.#closed ??= new Error("the database is closed");
    await this.#pump;
  }

  async #work(): Promise<void> {
    // A turn of the event loop before each group: whoever asks in the same turn shares it, and nothing else starves.
    for (await nextTurn(); this.#waiting.length > 0; await nextTurn()) {
      if (this.#askedForTheLock) await this.options.others.pause(GIVE_WAY_MS);
      this.#askedForTheLock = false;
      if (await this.#begin()) await this.#carryOut(this.#waiting.splice(0, GROUP_MAX));
    }
    this.#pump = null;
  }

  /** Takes the lock. False: nobody is left who waits for it. */
  async #begin(): Promise<boolean> {
    for (let pauseMs = 1; this.#waiting.length > 0; pauseMs = Math.min(pauseMs * 2, RETRY_MAX_MS)) {
      try {
        await this.writer.begin();
        return true;
      } catch (error) {
        const trouble = this.writer.trouble?.kind;
        if (trouble !== "busy") this.#fail(this.#waiting.splice(0), trouble, error);
        else this.#dropLate(error);
      }
      if (this.#waiting.length === 0) return false;
      this.options.others.sayWaiting();
      await this.options.others.pause(pauseMs * (0.5 + Math.random()));
    }
    return false;
  }

  async #carryOut(group: Write[]): Promise<void> {
    try {
      const outcomes = await this.#runAll(group);
      if (this.writer.trouble) throw this.writer.trouble.error;
      await this.writer.commit();
      this.#settle(group, outcomes);
    } catch (error) {
      const trouble = await this.#rollBack();
      if (trouble !== "busy") return this.#fail(group, trouble, error);
      this.#waiting.unshift(...group);
      this.#dropLate(error);
    }
  }

  /** @returns what was wrong with the database. */
  async #rollBack(): Promise<Trouble | undefined> {
    try {
      await this.writer.rollback();
      return this.writer.trouble?.kind;
    } catch {
      return "io"; // a transaction that cannot be ended: nothing may be written after it
    }
  }

  /** Runs the callbacks one after another; a failed one leaves no trace and does not touch its neighbours. */
  async #runAll(group: readonly Write[]): Promise<Outcome[]> {
    const outcomes: Outcome[] = [];
    for (const { fn } of group) {
      await this.writer.savepoint();
      const tx = new SharedTx(this.writer);
      try {
        const value = await insideWrite.run(tx, fn, tx);
        await this.writer.releaseSavepoint();
        outcomes.push({ value, topics: tx.topics });
      } catch (error) {
        if (this.writer.trouble) throw error;
        await this.writer.rollbackToSavepoint();
        outcomes.push({ error });
      } finally {
        tx.end();
      }
    }
    return outcomes;
  }

  #settle(group: readonly Write[], outcomes: readonly Outcome[]): void {
    const topics = new Set<BellTopic>();
    for (const [index, outcome] of outcomes.entries()) {
      const { resolve, reject } = group[index]!;
      if ("error" in outcome) {
        reject(outcome.error);
        continue;
      }
      for (const topic of outcome.topics) topics.add(topic);
      resolve(outcome.value);
    }
    this.options.onCommit(topics);
  }

  #fail(group: readonly Write[], trouble: Trouble | undefined, cause: unknown): void {
    const full = trouble === "full";
    const error = full ? new MaiaError("STORAGE_FULL", "The disk of the database is full", { cause }) : cause;
    for (const { reject } of group) reject(error);
    if (trouble !== "io") return;
    this.#closed = new Error(`the disk of the database failed (${codeOf(cause)})`, { cause });
    this.#fail(this.#waiting.splice(0), undefined, this.#closed);
    this.options.onFatal(cause);
  }

  /** Gives up on the writes whose time for the lock is over. */
  #dropLate(cause: unknown): void {
    const since = performance.now() - this.options.retryBudgetMs;
    const late = this.#waiting.filter(({ askedAt }) => askedAt < since);
    if (late.length === 0) return;
    this.#waiting = this.#waiting.filter(({ askedAt }) => askedAt >= since);
    for (const { reject } of late) reject(new MaiaError("BUSY", "The database is busy; try again soon", { cause }));
  }
}
