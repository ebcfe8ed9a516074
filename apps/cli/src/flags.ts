import { type Command, Option } from "commander";
import type { CommonFlags } from "./context.js";
import type { ExitCode } from "./exit-codes.js";

/** Gives a command its action: flags, those of the whole program included, then its arguments. */
export type Act = <F extends CommonFlags>(
  command: Command,
  run: (flags: F, ...args: string[]) => Promise<ExitCode>,
) => void;

export function project(): Option {
  return new Option("--project <project>", "project, by name or id");
}

export function limit(): Option {
  return new Option("--limit <number>", "at most so many").default("25");
}

export function collect(value: string, before: string[] = []): string[] {
  return [...before, value];
}
