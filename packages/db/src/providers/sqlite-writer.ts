import type { Database, Statement } from "better-sqlite3";
import { codeOf, type Trouble } from "../errors.js";
import { lazyModels } from "../models.js";
import type { Models } from "../types.js";
import type { Writer } from "./provider.js";
import { SqliteSql, statementsOf } from "./sqlite-sql.js";

/** The one connection that writes to a SQLite file. */
export class SqliteWriter implements Writer {
  readonly sql: SqliteSql;
  readonly models: Models;
  trouble: { kind: Trouble; error: unknown } | null = null;
  readonly #connection: Database;
  readonly #begin: Statement;
  readonly #commit: Statement;
  readonly #savepoint: Statement;
  readonly #release: Statement;
  readonly #rollbackTo: Statement;

  constructor(connection: Database) {
    this.#connection = connection;
    this.#begin = connection.prepare("BEGIN IMMEDIATE");
    this.#commit = connection.prepare("COMMIT");
    this.#savepoint = connection.prepare("SAVEPOINT one");
    this.#release = connection.prepare("RELEASE one");
    this.#rollbackTo = connection.prepare("ROLLBACK TO one");
    const onError = (error: unknown) => this.#note(error);
    const guard = () => {
      if (!connection.inTransaction) throw new Error("tx.models was used after its write had ended");
    };
    this.sql = new SqliteSql(connection, onError);
    this.models = lazyModels(connection, { guard, onError, prepare: statementsOf(connection) });
  }

  begin(): void {
    this.trouble = null;
    this.#run(this.#begin);
  }

  commit(): void {
    this.#run(this.#commit);
  }

  rollback(): void {
    if (this.#connection.inTransaction) this.#connection.exec("ROLLBACK");
  }

  savepoint(): void {
    this.#run(this.#savepoint);
  }

  releaseSavepoint(): void {
    this.#run(this.#release);
  }

  rollbackToSavepoint(): void {
    this.#run(this.#rollbackTo);
    this.#run(this.#release);
  }

  shrink(pages: number): void {
    try {
      // Not a prepared statement: it takes a step per page, and `run` takes only the first.
      this.#connection.exec(`PRAGMA incremental_vacuum(${Math.trunc(pages)})`);
    } catch (error) {
      this.#note(error);
      throw error;
    }
  }

  #run(statement: Statement): void {
    try {
      statement.run();
    } catch (error) {
      this.#note(error);
      throw error;
    }
  }

  #note(error: unknown): void {
    const kind = troubleOf(error);
    if (kind) this.trouble ??= { kind, error };
  }
}

function troubleOf(error: unknown): Trouble | null {
  const code = codeOf(error);
  if (code === "SQLITE_FULL" || code === "SQLITE_IOERR_SHMSIZE") return "full";
  if (code.startsWith("SQLITE_BUSY")) return "busy";
  return code.startsWith("SQLITE_IOERR") ? "io" : null;
}
