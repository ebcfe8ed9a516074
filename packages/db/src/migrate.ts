import { createHash, randomUUID } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { Database } from "better-sqlite3";
import { codeOf, DbRefusal } from "./errors.js";
import { toDbTime } from "./time.js";

const MIGRATIONS = fileURLToPath(new URL("../prisma/migrations", import.meta.url));

/** Prisma's own history table, word for word, so that `prisma migrate deploy` agrees with us. */
const HISTORY_TABLE = `CREATE TABLE IF NOT EXISTS "_prisma_migrations" (
    "id"                    TEXT PRIMARY KEY NOT NULL,
    "checksum"              TEXT NOT NULL,
    "finished_at"           DATETIME,
    "migration_name"        TEXT NOT NULL,
    "logs"                  TEXT,
    "rolled_back_at"        DATETIME,
    "started_at"            DATETIME NOT NULL DEFAULT current_timestamp,
    "applied_steps_count"   INTEGER UNSIGNED NOT NULL DEFAULT 0
)`;

interface Migration {
  readonly name: string;
  readonly sql: string;
  readonly checksum: string;
}

export interface MigrateOptions {
  readonly now: Date;
  /** Runs a piece of work, again while the database is busy. */
  readonly patiently: <T>(work: () => T) => Promise<T>;
  /** Where the migrations are. */
  readonly folder?: string;
}

/**
 * Brings a database up to date: all pending migrations in one transaction, or none. Processes that start together
 * take turns, and the later ones find nothing to do.
 * @throws {DbRefusal} DB_MIGRATION where the history is not the beginning of ours.
 */
export async function migrate(connection: Database, options: MigrateOptions): Promise<void> {
  const migrations = await readMigrations(options.folder ?? MIGRATIONS);
  if ((await options.patiently(() => pendingOf(connection, migrations))).length === 0) return;
  connection.pragma("foreign_keys = OFF"); // a table that is built anew must not take its dependants with it
  try {
    await options.patiently(() => connection.transaction(() => apply(connection, migrations, options.now)).immediate());
  } finally {
    connection.pragma("foreign_keys = ON");
  }
}

async function readMigrations(folder: string): Promise<Migration[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  const read = async (name: string) => {
    const bytes = await readFile(path.join(folder, name, "migration.sql"));
    return { name, sql: bytes.toString(), checksum: createHash("sha256").update(bytes).digest("hex") };
  };
  return Promise.all(names.sort().map(read));
}

/** The migrations that the database lacks. */
function pendingOf(connection: Database, migrations: readonly Migration[]): Migration[] {
  const applied = new Map(readHistory(connection).map((row) => [row.migration_name, row]));
  for (const [name, { finished_at, checksum }] of applied) {
    const ours = migrations.find((migration) => migration.name === name);
    if (!ours)
      refuse(`the database has the migration ${name}, which this version of Maia does not know; start a newer Maia.`);
    if (finished_at === null) refuse(`the migration ${name} has failed before; restore a backup from before it.`);
    if (ours.checksum !== checksum) refuse(`the migration ${name} is not the one that was applied to the database.`);
  }
  return migrations.filter(({ name }) => !applied.has(name));
}

interface HistoryRow {
  readonly migration_name: string;
  readonly checksum: string;
  readonly finished_at: unknown;
}

function readHistory(connection: Database): HistoryRow[] {
  const exists = connection.prepare(`SELECT 1 FROM sqlite_master WHERE name = '_prisma_migrations'`).get();
  if (
    exists === undefined &&
    connection.prepare(`SELECT 1 FROM sqlite_master WHERE type = 'table'`).get() !== undefined
  ) {
    refuse("the database holds tables but no history of migrations, so it is not Maia's.");
  }
  if (exists === undefined) return [];
  const text = `SELECT "migration_name", "checksum", "finished_at" FROM "_prisma_migrations" WHERE "rolled_back_at" IS NULL`;
  return connection.prepare(text).all() as HistoryRow[];
}

function apply(connection: Database, migrations: readonly Migration[], now: Date): void {
  const pending = pendingOf(connection, migrations); // again, now that nobody else can change it
  connection.exec(HISTORY_TABLE);
  const at = toDbTime(now);
  for (const { name, sql, checksum } of pending) {
    try {
      connection.exec(sql);
    } catch (cause) {
      if (!/^SQLITE_(ERROR|CONSTRAINT)/.test(codeOf(cause))) throw cause;
      refuse(
        `the migration ${name} does not fit the database (${(cause as Error).message}); nothing was changed.`,
        cause,
      );
    }
    const text = `INSERT INTO "_prisma_migrations" ("id", "checksum", "finished_at", "migration_name", "started_at", "applied_steps_count") VALUES (?, ?, ?, ?, ?, 1)`;
    connection.prepare(text).run(randomUUID(), checksum, at, name, at);
  }
  if ((connection.pragma("foreign_key_check") as unknown[]).length > 0) {
    refuse("after the migration rows would refer to rows that do not exist; nothing was changed.");
  }
}

function refuse(message: string, cause?: unknown): never {
  throw new DbRefusal("DB_MIGRATION", message, { cause });
}
