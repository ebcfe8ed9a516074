import { type Command, Option } from "commander";
import type { CommonFlags } from "./context.js";
import type { ExitCode } from "./exit-codes.js";

/** Gives a command its action: flags, those of the whole program included, then its arguments. */
export type Act = <F extends CommonFlags>(
  command: Command,
  run: (flags: F, ...args: string[]) => Promise<ExitCode>,
) => void;

/** Flags that give params. */
export function withParams(command: Command): Command {
  return command
    .option(
      "-p, --param <name=value>",
      "a param; JSON numbers, true, false and null stand for themselves where no text is wanted",
      collect,
    )
    .option("--params <file>", "params from a JSON file, or - for stdin; --param wins");
}

/** The flags of a command that makes a job and may stay until it ends. */
export function staying(command: Command): Command {
  return command
    .option("-f, --follow", "show steps and logs until the end")
    .option("--wait", "wait for the end, then show the result")
    .option("--timeout <time>", "how long to wait or follow, such as 90s or 10m; the run goes on")
    .option("--idempotency-key <key>", "the same key never makes a second run");
}

export function project(): Option {
  return new Option("--project <project>", "project, by name or id");
}

export function limit(fallback = "25"): Option {
  return new Option("--limit <number>", "at most so many").default(fallback);
}

/** For lists of what people have made one by one, of which they look for a certain one. */
export const ALL = "1000";

export function order(): Option {
  return new Option("--order <order>", "desc is the newest, or the last letter, first").choices(["asc", "desc"]);
}

export function collect(value: string, before: string[] = []): string[] {
  return [...before, value];
}
