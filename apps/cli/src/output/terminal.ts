import { styleText } from "node:util";

const CLEAR_LINE = "\u001b[K";

export type Style = Parameters<typeof styleText>[0];

/** Where a command writes. Results go to stdout; hints and progress to stderr. */
export interface Terminal {
  /** Writes a line to stdout. */
  print(text: string): void;
  /** Writes text to stdout as it is. */
  write(text: string): void;
  /** Writes a line to stderr. */
  note(text: string): void;
  /** Shows a line on stderr that the next one replaces, where somebody watches; an empty one leaves nothing. */
  passing(text: string): void;
  readonly isTty: boolean;
  readonly columns: number;
  readonly rows: number;
  /** Colours text where stdout shows colours. */
  paint(style: Style, text: string): string;
  /** Calls back when the window changes, until the returned function is called. */
  onResize(callback: () => void): () => void;
}

/** The terminal that this process has, or the pipe or file in its place. */
export function processTerminal(env: Readonly<Record<string, string | undefined>>): Terminal {
  const { stdout, stderr } = process;
  const colour = env.NO_COLOR
    ? false
    : env.FORCE_COLOR
      ? env.FORCE_COLOR !== "0"
      : stdout.isTTY === true && env.TERM !== "dumb";
  return {
    print: (text) => stdout.write(`${text}\n`),
    write: (text) => stdout.write(text),
    note: (text) => stderr.write(`${text}\n`),
    passing: (text) => {
      if (stderr.isTTY === true && env.TERM !== "dumb")
        stderr.write(`\r${text.slice(0, (stderr.columns ?? 80) - 1)}${CLEAR_LINE}`);
    },
    isTty: stdout.isTTY === true && env.TERM !== "dumb",
    get columns() {
      return stdout.columns ?? 80;
    },
    get rows() {
      return stdout.rows ?? 24;
    },
    paint: (style, text) => (colour ? styleText(style, text, { validateStream: false }) : text),
    onResize: (callback) => {
      stdout.on("resize", callback);
      return () => stdout.off("resize", callback);
    },
  };
}
