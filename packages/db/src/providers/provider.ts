import type { Trouble } from "../errors.js";
import type { Models, Sql } from "../types.js";

/** All that differs between databases. `test/contract` holds what each of them promises. */
export interface Provider extends AsyncDisposable {
  /** Reads outside of any transaction; it refuses to write and never waits for the writer. */
  readonly reader: Queryable;
  readonly writer: Writer;
  /** A value that changes when another process commits, and does not when this one does. */
  commitsOfOthers(): Promise<number>;
}

export interface Queryable {
  readonly sql: Sql;
  readonly models: Models;
}

/** The one connection that writes. Nobody but the write queue moves its transaction. */
export interface Writer extends Queryable {
  /** Takes the write lock at once, or fails at once. */
  begin(): Promise<void> | void;
  commit(): Promise<void> | void;
  /** Ends the transaction if there still is one. */
  rollback(): Promise<void> | void;
  savepoint(): Promise<void> | void;
  releaseSavepoint(): Promise<void> | void;
  rollbackToSavepoint(): Promise<void> | void;
  /** Gives up to so many unused pages of the file back, where the database is one. */
  shrink(pages: number): Promise<void> | void;
  /** What has been wrong with the database since the last `begin`, even if whoever met it kept silent about it. */
  readonly trouble: { readonly kind: Trouble; readonly error: unknown } | null;
}
