import { readFile } from "node:fs/promises";

/** A line of the ledger. Short names, since there are two lines per attempt. */
export type LedgerLine =
  /** An attempt was accepted: from here on it is never started again. */
  | {
      readonly k: "accepted";
      readonly a: string;
      readonly r: string;
      readonly e: number;
      readonly t: number;
      /** The step, and which attempt of it this is; absent for an installation. */
      readonly s?: string;
      readonly n?: number;
    }
  /** A run has a newer owner. */
  | { readonly k: "epoch"; readonly r: string; readonly e: number; readonly t: number }
  /** An attempt's exit is in the spool, or its outcome will never be known. */
  | { readonly k: "ended" | "lost"; readonly a: string; readonly t: number };

/** A ledger whose lines are not what was written. */
export class LedgerDamagedError extends Error {
  override readonly name = "LedgerDamagedError";
}

/** The lines of a segment, and how many bytes they take. A last line that a crash cut off was never acknowledged. */
export async function readSegment(path: string): Promise<{ lines: LedgerLine[]; sizeBytes: number }> {
  const bytes = await readFile(path);
  const sizeBytes = bytes.lastIndexOf(0x0a) + 1;
  const text = bytes.toString("utf8", 0, Math.max(sizeBytes - 1, 0));
  return { lines: text === "" ? [] : text.split("\n").map((line) => parseLine(line, path)), sizeBytes };
}

function parseLine(text: string, path: string): LedgerLine {
  let line: Partial<Record<string, unknown>>;
  try {
    line = JSON.parse(text);
  } catch {
    throw new LedgerDamagedError(`${path} holds a line that is none`);
  }
  const { k, a, r, e, t } = line ?? {};
  const hasAttempt = typeof a === "string";
  const hasRun = typeof r === "string" && Number.isSafeInteger(e);
  const whole =
    (k === "accepted" && hasAttempt && hasRun) ||
    (k === "epoch" && hasRun) ||
    ((k === "ended" || k === "lost") && hasAttempt);
  if (!whole || typeof t !== "number") throw new LedgerDamagedError(`${path} holds a line that is none`);
  return line as LedgerLine;
}
