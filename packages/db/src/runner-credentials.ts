import type { Sql } from "./types.js";

/** A runner that has credentials, with the hash of its secret. */
export interface RunnerCredential {
  readonly id: string;
  readonly name: string;
  readonly secretHash: string;
}

/** The runner with this id; undefined where there is none, or it has no credentials. */
export function findRunnerCredential(sql: Sql, id: string): Promise<RunnerCredential | undefined> {
  const text = `SELECT "id", "name", "secretHash" FROM "Runner" WHERE "id" = ? AND "secretHash" IS NOT NULL`;
  return sql.get(text, id);
}
