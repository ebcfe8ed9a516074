import stringWidth from "string-width";
import { cut, fill } from "./format.js";
import type { Style, Terminal } from "./terminal.js";

/** A cell: its text, and a style that does not count towards its width. */
export type Cell = string | { readonly text: string; readonly style: Style };

/** Prints rows under a heading. On a terminal they are cut to fit; in a pipe they are whole, and without a heading. */
export function printTable(terminal: Terminal, heading: readonly string[], rows: readonly (readonly Cell[])[]): void {
  const head = heading.map((text): Cell => ({ text, style: "dim" }));
  const all = terminal.isTty ? [head, ...rows] : rows;
  const widths = heading.map((_, column) => Math.max(...all.map((row) => stringWidth(textOf(row[column] ?? "")))));
  const room = terminal.isTty ? terminal.columns : Number.POSITIVE_INFINITY;
  for (const row of all) terminal.print(line(terminal, row, widths, room));
}

function line(terminal: Terminal, row: readonly Cell[], widths: readonly number[], room: number): string {
  let left = room;
  const parts = row.map((cell, column) => {
    const isLast = column === row.length - 1;
    const text = cut(isLast ? textOf(cell) : fill(textOf(cell), widths[column] ?? 0), left);
    left = Math.max(0, left - stringWidth(text) - 2);
    return typeof cell === "string" ? text : terminal.paint(cell.style, text);
  });
  return parts.join("  ").trimEnd();
}

function textOf(cell: Cell): string {
  return typeof cell === "string" ? cell : cell.text;
}
