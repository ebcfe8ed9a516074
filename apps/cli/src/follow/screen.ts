import type { Terminal } from "../output/terminal.js";

const BEGIN = "\u001b[?2026h"; // synchronized output: terminals that know it show the frame at once
const END = "\u001b[?2026l";
const HIDE_CURSOR = "\u001b[?25l";
const SHOW_CURSOR = "\u001b[?25h";
const CLEAR_LINE = "\u001b[K";
const CLEAR_BELOW = "\u001b[J";

/** A few lines at the bottom that are drawn again and again, and above them lines that stay. */
export class Screen {
  readonly #terminal: Terminal;
  #drawn = 0;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** Shows what stays, then the frame in place of the last one. One write, each line overwritten: nothing flickers. */
  draw(stays: readonly string[], frame: readonly string[]): void {
    const up = this.#drawn > 0 ? `\u001b[${this.#drawn}F` : "";
    const lines = [...stays, ...frame].map((line) => `${line}${CLEAR_LINE}\n`).join("");
    this.#terminal.write(`${BEGIN}${HIDE_CURSOR}${up}${lines}${CLEAR_BELOW}${END}`);
    this.#drawn = frame.length;
  }

  /** Leaves the last frame standing and gives the cursor back. */
  close(): void {
    this.#terminal.write(SHOW_CURSOR);
  }
}
