import { cut, plain } from "./format.js";
import type { Style, Terminal } from "./terminal.js";

/** One thing that differs between two versions, as the API tells it. */
export interface VersionChange {
  readonly op: "add" | "remove" | "replace" | "reorder";
  readonly pointer: string;
  readonly stepKey?: string;
  readonly value?: unknown;
  readonly from?: unknown;
  readonly to?: unknown;
  readonly patch?: string;
}

export interface VersionDiff {
  readonly workflow: string;
  readonly from: { readonly version: number | null; readonly depsHash: string | null } | null;
  readonly to: { readonly version: number | null; readonly depsHash: string | null };
  readonly same: boolean;
  readonly changes: readonly VersionChange[];
}

const VALUE_COLUMNS = 60;

/** Prints what has changed: each place with what was and is there, texts as a patch. */
export function printChanges(terminal: Terminal, { workflow, from, to, same, changes }: VersionDiff): void {
  terminal.note(terminal.paint("dim", `${workflow} ${nameOf(from)} → ${nameOf(to)}`));
  if (same) terminal.note("Nothing differs");
  for (const change of changes) printChange(terminal, change);
  const isPinned = from && from.version !== null;
  if (isPinned && from.depsHash !== to.depsHash)
    terminal.print(terminal.paint("yellow", "~ the lock of the dependencies"));
}

function printChange(terminal: Terminal, change: VersionChange): void {
  const { op, pointer, stepKey, value, from, to, patch } = change;
  const place = `${pointer || "/"}${stepKey === undefined ? "" : ` (step ${stepKey})`}`;
  const say = (style: Style, text: string) => terminal.print(terminal.paint(style, text));
  const shown = (given: unknown) =>
    terminal.isTty ? cut(plain(JSON.stringify(given)), VALUE_COLUMNS) : JSON.stringify(given);
  if (op === "add") say("green", `+ ${place}: ${shown(value)}`);
  else if (op === "remove") say("red", `- ${place}: ${shown(value)}`);
  else if (patch === undefined) say("yellow", `~ ${place}: ${shown(from)} → ${shown(to)}`);
  else {
    say("yellow", `~ ${place}`);
    const lines = patch.split("\n").slice(2, -1); // without its own names of the two sides
    for (const line of lines) say(styleOf(line), `  ${terminal.isTty ? plain(line) : line}`);
  }
}

function styleOf(line: string): Style {
  if (line.startsWith("+")) return "green";
  if (line.startsWith("-")) return "red";
  return line.startsWith("@@") ? "cyan" : "reset";
}

function nameOf(side: VersionDiff["from"]): string {
  if (side === null) return "nothing";
  return side.version === null ? "the draft" : `v${side.version}`;
}
