import type { Database, Statement } from "better-sqlite3";
import type { Sql, SqlValue } from "../types.js";

const MAX_STATEMENTS = 500;

/** Compiled statements by their text. Compiling costs more than most statements do, and its garbage is native memory. */
export class Statements {
  readonly #connection: Database;
  readonly #byText = new Map<string, Statement>();

  constructor(connection: Database) {
    this.#connection = connection;
  }

  get(text: string): Statement {
    const known = this.#byText.get(text);
    if (known) return known;
    const statement = this.#connection.prepare(text);
    if (this.#byText.size >= MAX_STATEMENTS) this.#byText.delete(this.#byText.keys().next().value!);
    this.#byText.set(text, statement);
    return statement;
  }
}

/** Gives the compiled statements of a connection. */
export function statementsOf(connection: Database): (text: string) => Statement {
  const statements = new Statements(connection);
  return (text) => statements.get(text);
}

/** SQL on a connection. The work is done before the promise is returned. */
export class SqliteSql implements Sql {
  readonly #statements: Statements;
  readonly #onError: (error: unknown) => void;

  constructor(connection: Database, onError: (error: unknown) => void = () => {}) {
    this.#statements = new Statements(connection);
    this.#onError = onError;
  }

  get<Row>(text: string, ...values: SqlValue[]): Promise<Row | undefined> {
    try {
      return Promise.resolve(this.#statements.get(text).get(...values) as Row | undefined);
    } catch (error) {
      return this.#fail(error);
    }
  }

  all<Row>(text: string, ...values: SqlValue[]): Promise<Row[]> {
    try {
      return Promise.resolve(this.#statements.get(text).all(...values) as Row[]);
    } catch (error) {
      return this.#fail(error);
    }
  }

  run(text: string, ...values: SqlValue[]): Promise<number> {
    try {
      return Promise.resolve(this.#statements.get(text).run(...values).changes);
    } catch (error) {
      return this.#fail(error);
    }
  }

  #fail(error: unknown): Promise<never> {
    this.#onError(error);
    return Promise.reject(error);
  }
}
