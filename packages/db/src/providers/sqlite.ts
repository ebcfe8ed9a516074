import { statSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import Database from "better-sqlite3";
import { codeOf, DbRefusal } from "../errors.js";
import { migrate } from "../migrate.js";
import { lazyModels } from "../models.js";
import type { Provider, Queryable } from "./provider.js";
import { checkFileSystem, ensureFile } from "./sqlite-file.js";
import { SqliteSql, statementsOf } from "./sqlite-sql.js";
import { SqliteWriter } from "./sqlite-writer.js";

/** The first version without the race of two connections that write and checkpoint at once (guarantees.md, M5). */
const OLDEST_SQLITE = [3, 51, 3] as const;
/** Up to this size every page is checked at start; it takes less than 0.1 s. Beyond it, only what opening reads. */
const FULL_CHECK_MAX_BYTES = 32 * 1024 * 1024;
/** The WAL is cut back to this size when it starts over. */
const WAL_KEEP_BYTES = 64 * 1024 * 1024;

export interface SqliteOptions {
  readonly busyTimeoutMs: number;
  readonly retryBudgetMs: number;
  readonly allowRemoteFs: boolean;
  readonly now: Date;
}

/** Opens a database file, brought up to date, through a writer and a reader. @throws {DbRefusal} */
export async function openSqlite(file: string, options: SqliteOptions): Promise<Provider> {
  if (!options.allowRemoteFs) await checkFileSystem(path.dirname(file));
  await ensureFile(file);
  const open: Database.Database[] = [];
  try {
    const connect = async () => {
      const connection = new Database(file, { timeout: options.busyTimeoutMs, fileMustExist: true });
      open.push(connection);
      await patiently(options.retryBudgetMs, () => configure(connection, file));
      return connection;
    };
    const writer = await connect();
    checkIntegrity(writer, file);
    await migrate(writer, { now: options.now, patiently: (work) => patiently(options.retryBudgetMs, work) });
    writer.pragma("busy_timeout = 0"); // the queue waits for the lock without holding up the event loop
    const reader = await connect();
    reader.pragma("query_only = ON");
    return new SqlitePair(new SqliteWriter(writer), reader, writer);
  } catch (error) {
    for (const connection of open) connection.close();
    throw asRefusal(error, file);
  }
}

/** Repeats what fails because the database is busy, within the budget and without blocking. */
async function patiently<T>(budgetMs: number, work: () => T): Promise<T> {
  for (const until = performance.now() + budgetMs; ; ) {
    try {
      return work();
    } catch (error) {
      if (!codeOf(error).startsWith("SQLITE_BUSY") || performance.now() > until) throw error;
    }
    await sleep(5 + Math.random() * 20);
  }
}

function configure(connection: Database.Database, file: string): void {
  const version = connection.prepare("SELECT sqlite_version()").pluck().get() as string;
  if (isOlder(version.split(".").map(Number))) {
    throw new DbRefusal(
      "DB_SETTINGS",
      `SQLite ${version} can corrupt a shared database; ${OLDEST_SQLITE.join(".")} is needed.`,
    );
  }
  connection.pragma("journal_mode = WAL");
  connection.pragma("synchronous = FULL");
  connection.pragma("foreign_keys = ON");
  connection.pragma(`journal_size_limit = ${WAL_KEEP_BYTES}`);
  for (const [name, wanted] of [
    ["journal_mode", "wal"],
    ["synchronous", 2],
    ["foreign_keys", 1],
  ] as const) {
    const actual = connection.pragma(name, { simple: true });
    if (actual !== wanted)
      throw new DbRefusal("DB_SETTINGS", `${file} has ${name}=${actual} where Maia needs ${wanted}.`);
  }
}

function isOlder([major = 0, minor = 0, patch = 0]: number[]): boolean {
  const [a, b, c] = OLDEST_SQLITE;
  return major < a || (major === a && (minor < b || (minor === b && patch < c)));
}

/** Reads the schema, and every page of a small file. */
function checkIntegrity(connection: Database.Database, file: string): void {
  connection.prepare("SELECT count(*) FROM sqlite_master").get();
  if (statSync(file).size > FULL_CHECK_MAX_BYTES) return;
  const verdict = connection.pragma("quick_check(1)", { simple: true });
  if (verdict !== "ok") throw new DbRefusal("DB_CORRUPT", `${file} is damaged (${verdict}); restore it from a backup.`);
}

function asRefusal(error: unknown, file: string): unknown {
  const code = codeOf(error);
  if (error instanceof DbRefusal || !code.startsWith("SQLITE_")) return error;
  const message = (error as Error).message;
  if (/^SQLITE_(CORRUPT|NOTADB|IOERR_SHORT_READ)/.test(code)) {
    return new DbRefusal("DB_CORRUPT", `${file} is damaged (${message}); restore it from a backup.`, { cause: error });
  }
  return new DbRefusal("DB_UNREACHABLE", `${file} cannot be opened (${code}: ${message}).`, { cause: error });
}

class SqlitePair implements Provider {
  readonly reader: Queryable;
  readonly #dataVersion: Database.Statement;

  constructor(
    readonly writer: SqliteWriter,
    private readonly readConnection: Database.Database,
    private readonly writeConnection: Database.Database,
  ) {
    const models = lazyModels(readConnection, { prepare: statementsOf(readConnection) });
    this.reader = { sql: new SqliteSql(readConnection), models };
    this.#dataVersion = writeConnection.prepare("PRAGMA data_version").pluck();
  }

  async commitsOfOthers(): Promise<number> {
    return this.#dataVersion.get() as number;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.readConnection.close();
    this.writeConnection.close();
  }
}
