import { type ExitCode, exitCodes } from "./exit-codes.js";

/** One thing wrong with an input: where, and what. */
export interface Fault {
  readonly pointer: string;
  readonly message: string;
  /** Of a table: the row as a spreadsheet counts it. */
  readonly row?: number;
}

/** An RFC 9457 problem document, as the API answers with. */
export interface Problem {
  readonly title: string;
  readonly status: number | null;
  readonly code: string;
  readonly detail: string;
  readonly errors?: readonly Fault[];
  readonly requestId?: string;
}

/** A failure that its reader can act on: one clear line, what is wrong where, and how to mend it. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly hint: string | null;
  readonly problem: Problem;

  constructor(
    readonly exitCode: ExitCode,
    message: string,
    options: ErrorOptions & { hint?: string | null; problem?: Problem } = {},
  ) {
    super(message, options);
    this.hint = options.hint ?? null;
    this.problem = options.problem ?? { title: message, status: null, code: localCode(exitCode), detail: message };
  }
}

/** A command that was written wrong. */
export function usage(message: string, hint?: string): CliError {
  return new CliError(exitCodes.usage, message, hint === undefined ? {} : { hint });
}

/** An input that was read and is wrong, found before anything was sent. */
export function invalid(message: string, errors: readonly Fault[] = []): CliError {
  const problem = { title: "The input is invalid", status: null, code: "INVALID", detail: message, errors };
  return new CliError(exitCodes.invalid, message, { problem });
}

function localCode(exitCode: ExitCode): string {
  const name = Object.entries(exitCodes).find(([, code]) => code === exitCode)?.[0] ?? "unexpected";
  return name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}
