import { mkdir } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { Clock } from "@maia/domain";
import { Bells } from "./bells.js";
import { watchCommits } from "./commit-watch.js";
import { DbRefusal } from "./errors.js";
import { ensureDefaults } from "./projects.js";
import type { Provider } from "./providers/provider.js";
import { openSqlite } from "./providers/sqlite.js";
import type { Bell, BellBoard, BellTopic, Db, DbLog, Models, Sql, Tx } from "./types.js";
import { WriteQueue } from "./write-queue.js";

/** What the exit of a process says when its disk failed: EX_SOFTWARE of sysexits.h. */
const EXIT_DISK_FAILED = 70;

export interface OpenDbOptions {
  /** `file:` and a path. */
  readonly url: string;
  /** The folder where the processes on this database hang their bells. */
  readonly bellsDir: string;
  /** How long the driver may hold up the event loop while it waits for another process. */
  readonly busyTimeoutMs: number;
  /** How long a write may wait for the lock before it fails with BUSY. */
  readonly retryBudgetMs: number;
  readonly now?: Clock;
  readonly log?: DbLog;
  /** Opens a database on a network file system too, at your own risk. */
  readonly allowRemoteFs?: boolean;
  /** Called when the disk failed under a write. Nothing may be written after that; by default the process exits. */
  readonly onFatal?: (error: unknown) => void;
}

/**
 * Opens the database, brings it up to date and makes sure of the default project and the hosted runner.
 * @throws {DbRefusal} where Maia cannot work on it.
 */
export async function openDb(options: OpenDbOptions): Promise<Db> {
  const { busyTimeoutMs, retryBudgetMs, allowRemoteFs = false, log = () => {}, now = () => new Date() } = options;
  const file = fileOf(options.url);
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  const provider = await openSqlite(file, { busyTimeoutMs, retryBudgetMs, allowRemoteFs, now: now() });
  const db = await OpenedDb.start(provider, options, log).catch(async (error: unknown) => {
    await provider[Symbol.asyncDispose]();
    throw error;
  });
  try {
    await ensureDefaults(db, now());
    return db;
  } catch (error) {
    await db[Symbol.asyncDispose]();
    throw error;
  }
}

function fileOf(url: string): string {
  if (url.startsWith("file://")) return fileURLToPath(url);
  const file = /^file:([^?]+)$/.exec(url)?.[1];
  if (file && file !== ":memory:") return path.resolve(file);
  throw new DbRefusal(
    "DB_URL",
    `DATABASE_URL must be file: and the path of a file, not ${url.replace(/\/\/.*@/, "//…@")}.`,
  );
}

function exit(error: unknown, log: DbLog): void {
  log("error", "the disk of the database failed; the process ends, and its restart will find out what was kept", {
    error,
  });
  setImmediate(() => process.exit(EXIT_DISK_FAILED)); // the log line first
}

class OpenedDb implements Db {
  readonly sql: Sql;
  readonly models: Models;
  readonly bells: BellBoard;
  #disposed: Promise<void> | null = null;

  private constructor(
    private readonly provider: Provider,
    private readonly ourBells: Bells,
    private readonly queue: WriteQueue,
    private readonly stopWatching: () => void,
  ) {
    this.sql = provider.reader.sql;
    this.models = provider.reader.models;
    this.bells = { id: ourBells.id, probe: (id) => ourBells.probe(id) };
  }

  static async start(provider: Provider, { bellsDir, retryBudgetMs, onFatal }: OpenDbOptions, log: DbLog): Promise<Db> {
    const bells = await Bells.open(bellsDir, log);
    const queue = new WriteQueue(provider.writer, {
      retryBudgetMs,
      others: bells,
      onCommit: (topics) => bells.announce(topics),
      onFatal: onFatal ?? ((error) => exit(error, log)),
    });
    bells.onWaiting = () => queue.giveWay();
    return new OpenedDb(provider, bells, queue, await watchCommits(provider, bells, log));
  }

  write<T>(fn: (tx: Tx) => Promise<T> | T): Promise<T> {
    return this.queue.write(fn);
  }

  bell(topic: BellTopic): Bell {
    return this.ourBells.bell(topic);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#dispose();
    return this.#disposed;
  }

  async #dispose(): Promise<void> {
    await this.queue.close();
    this.stopWatching();
    await this.ourBells[Symbol.asyncDispose]();
    await this.provider[Symbol.asyncDispose]();
  }
}
