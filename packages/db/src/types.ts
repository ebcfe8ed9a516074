import type { EventData, EventKind } from "@maia/domain";
import type { PrismaClient } from "./generated/prisma/client.js";

/** A value that SQL takes. Times go in as `toDbTime`, JSON as text. */
export type SqlValue = string | number | bigint | null | Uint8Array;

/** Prepared SQL. Statements are portable: `?` for values, quoted "camelCase" names. Each text is prepared once. */
export interface Sql {
  get<Row>(text: string, ...values: SqlValue[]): Promise<Row | undefined>;
  all<Row>(text: string, ...values: SqlValue[]): Promise<Row[]>;
  /** @returns how many rows changed. */
  run(text: string, ...values: SqlValue[]): Promise<number>;
}

/** The Prisma models, without the ways to open a transaction of one's own. */
export type Models = Omit<PrismaClient, `$${string}`>;

/** Whom an event concerns. The last three only for lines of a log. */
export interface EventAbout {
  readonly runId?: string | null;
  readonly projectId?: string | null;
  readonly attemptId?: string;
  readonly fromSeq?: number;
  readonly toSeq?: number;
}

/** What a write works with. Everything in it is one savepoint of the transaction that it shares with its neighbours. */
export interface Tx {
  readonly sql: Sql;
  /** The models on the writer connection, for what is not hot. Loaded at first use. */
  readonly models: Models;
  /** Appends an event and rings for it after the commit. */
  event<K extends EventKind>(kind: K, about: EventAbout, data: EventData[K]): Promise<void>;
  /** Gives up to so many unused pages of the database's file back to the file system. */
  shrink(pages: number): Promise<void>;
  /** Rings the bell after the commit, here and in the other processes. */
  ring(topic: BellTopic): void;
}

/**
 * What a bell says: "engine" = work for an engine (never rung for logs or heartbeats), "events" = new LogEvents.
 */
export type BellTopic = "engine" | "events";

/** A doorbell: rings mean "look again". Rings that come close together are one; none is lost. */
export interface Bell {
  /** Resolves at the next ring after this call, or when the signal aborts. Listen first, then read. */
  next(signal?: AbortSignal): Promise<void>;
  /** Calls back at each ring until the returned function is called. */
  listen(callback: () => void): () => void;
}

/** The processes on this database, as their doorbells know them. */
export interface BellBoard {
  /** Names this process to `probe` in another one. */
  readonly id: string;
  /** Whether the process whose bell has this id lives. One that is stopped (SIGSTOP) is alive. */
  probe(id: string): Promise<"alive" | "dead" | "unknown">;
}

/** Where the database writes its own log. */
export type DbLog = (level: "error" | "warn" | "info" | "debug", message: string, fields?: object) => void;

/** The database of Maia. */
export interface Db extends AsyncDisposable {
  /** Reads outside of any transaction, on the query-only reader; they never wait for writers. */
  readonly sql: Sql;
  /** The models on the reader, for lists and pages. Loaded at first use. */
  readonly models: Models;
  /**
   * Carries out a write. Writes that wait together share one BEGIN IMMEDIATE … COMMIT, each in its own savepoint; the
   * promise settles after the shared COMMIT. The callback may run again, so it must await nothing but the database and
   * change nothing else.
   * @throws {MaiaError} BUSY when the lock could not be had within the retry budget, STORAGE_FULL when the disk is full.
   */
  write<T>(fn: (tx: Tx) => Promise<T> | T): Promise<T>;
  bell(topic: BellTopic): Bell;
  readonly bells: BellBoard;
}
