/** Why a database was not opened. */
export type DbRefusalCode =
  | "DB_URL"
  | "DB_REMOTE_FS"
  | "DB_UNREACHABLE"
  | "DB_CORRUPT"
  | "DB_SETTINGS"
  | "DB_MIGRATION";

/** Maia does not work on this database as it is. The message is one sentence for who has to see to it. */
export class DbRefusal extends Error {
  override readonly name = "DbRefusal";

  constructor(
    readonly code: DbRefusalCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(`${code}: ${message}`, options);
  }
}

/** What is wrong with the database itself, rather than with the statement. */
export type Trouble =
  /** Somebody else holds the lock: ask again. */
  | "busy"
  /** The disk is full: it passes when space returns. */
  | "full"
  /** The disk failed: what was written last may or may not be there, and only a fresh start finds out. */
  | "io";

/** True if a row of the same key exists already, be it told by SQL or by Prisma. */
export function isUniqueViolation(error: unknown): boolean {
  const code = codeOf(error);
  return code === "P2002" || code === "SQLITE_CONSTRAINT_UNIQUE" || code === "SQLITE_CONSTRAINT_PRIMARYKEY";
}

/** The code that an error carries, or an empty text. */
export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : "";
}
