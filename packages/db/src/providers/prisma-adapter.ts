import {
  DriverAdapterError,
  type MappedError,
  type SqlDriverAdapter,
  type SqlQuery,
  type SqlResultSet,
  type Transaction,
} from "@prisma/driver-adapter-utils";
import type { Database, Statement } from "better-sqlite3";
// The extension lets scripts/schema-engine.mjs read this file as it is, before there is a build.
import { columnType, fromSqlite, toSqlite } from "./prisma-values.ts";

const SAVEPOINT = "prisma";

export interface AdapterOptions {
  /** Throws where a query may not run now. */
  readonly guard?: () => void;
  /** Gives a statement, from a cache or new. */
  readonly prepare?: (sql: string) => Statement;
  /** Hears of each error of the driver's before Prisma does. */
  readonly onError?: (error: unknown) => void;
}

/**
 * Prisma on a connection that is ours: it never opens, commits or closes anything. Its transactions are savepoints, and
 * while one is open, queries from beside it wait.
 */
export class PrismaAdapter implements SqlDriverAdapter {
  readonly provider = "sqlite";
  readonly adapterName = "@maia/db";
  readonly #connection: Database;
  readonly #options: AdapterOptions;
  #transaction: Promise<void> | null = null;

  constructor(connection: Database, options: AdapterOptions = {}) {
    this.#connection = connection;
    this.#options = options;
  }

  async queryRaw(query: SqlQuery): Promise<SqlResultSet> {
    await this.#turn();
    return this.#query(query);
  }

  async executeRaw(query: SqlQuery): Promise<number> {
    await this.#turn();
    return this.#execute(query);
  }

  async executeScript(script: string): Promise<void> {
    await this.#turn();
    this.#try(() => this.#connection.exec(script));
  }

  async startTransaction(): Promise<Transaction> {
    await this.#turn();
    this.#try(() => this.#connection.exec(`SAVEPOINT ${SAVEPOINT}`));
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#transaction = promise;
    const end = async (sql: string) => {
      this.#transaction = null;
      resolve();
      this.#try(() => this.#connection.exec(sql));
    };
    return {
      provider: this.provider,
      adapterName: this.adapterName,
      options: { usePhantomQuery: true }, // the end is told to us alone; no COMMIT is sent as a query
      queryRaw: async (query) => this.#query(query),
      executeRaw: async (query) => this.#execute(query),
      commit: () => end(`RELEASE ${SAVEPOINT}`),
      rollback: () => end(`ROLLBACK TO ${SAVEPOINT}; RELEASE ${SAVEPOINT}`),
      createSavepoint: async (name) => void this.#try(() => this.#connection.exec(`SAVEPOINT ${name}`)),
      rollbackToSavepoint: async (name) => void this.#try(() => this.#connection.exec(`ROLLBACK TO ${name}`)),
      releaseSavepoint: async (name) => void this.#try(() => this.#connection.exec(`RELEASE ${name}`)),
    };
  }

  async dispose(): Promise<void> {}

  async #turn(): Promise<void> {
    while (this.#transaction) await this.#transaction;
  }

  #query(query: SqlQuery): SqlResultSet {
    return this.#try(() => {
      const statement = this.#prepare(query);
      if (!statement.reader) {
        statement.run(...this.#values(query));
        return { columnNames: [], columnTypes: [], rows: [] };
      }
      const columns = statement.columns();
      const rows = statement.raw(true).all(...this.#values(query)) as unknown[][];
      return {
        columnNames: columns.map(({ name }) => name),
        columnTypes: columns.map(({ type }, index) => columnType(type, index, rows)),
        rows: rows.map((row) => row.map(fromSqlite)),
      };
    });
  }

  #execute(query: SqlQuery): number {
    return this.#try(() => this.#prepare(query).run(...this.#values(query)).changes);
  }

  #prepare({ sql }: SqlQuery): Statement {
    const prepare = this.#options.prepare ?? ((text: string) => this.#connection.prepare(text));
    return prepare(sql).safeIntegers(true);
  }

  #values({ args, argTypes }: SqlQuery): unknown[] {
    return args.map((value, index) => toSqlite(value, argTypes[index]!));
  }

  #try<T>(work: () => T): T {
    this.#options.guard?.();
    try {
      return work();
    } catch (error) {
      this.#options.onError?.(error);
      const { code, message } = error as { code?: unknown; message?: unknown };
      if (typeof code !== "string" || typeof message !== "string") throw error;
      throw new DriverAdapterError({ originalCode: code, originalMessage: message, ...mapError(code, message) });
    }
  }
}

/** What Prisma calls an error of SQLite's. */
function mapError(code: string, message: string): MappedError {
  const [, columns = ""] = message.split("constraint failed: ");
  const fields = columns.split(", ").map((column) => column.split(".").at(-1)!);
  if (code === "SQLITE_CONSTRAINT_UNIQUE" || code === "SQLITE_CONSTRAINT_PRIMARYKEY") {
    return { kind: "UniqueConstraintViolation", constraint: { fields }, table: columns.split(".")[0]! };
  }
  if (code === "SQLITE_CONSTRAINT_NOTNULL") return { kind: "NullConstraintViolation", constraint: { fields } };
  if (code === "SQLITE_CONSTRAINT_FOREIGNKEY") {
    return { kind: "ForeignKeyConstraintViolation", constraint: { foreignKey: {} } };
  }
  if (code.startsWith("SQLITE_BUSY")) return { kind: "SocketTimeout" };
  const table = /^no such table: (.*)$/.exec(message)?.[1];
  if (table !== undefined) return { kind: "TableDoesNotExist", table };
  return { kind: "sqlite", extendedCode: 1, message };
}
