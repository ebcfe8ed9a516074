import { type InputIssue, invalid, MaiaError } from "./errors.js";
import { isForbiddenKey } from "./names.js";

/** Most issues that one answer lists. */
const ISSUES_MAX = 20;

/**
 * Parses JSON, and refuses what `JSON.parse` would quietly make something else of: nesting beyond `depthMax`, keys that
 * appear twice, keys that mean something to JavaScript, numbers that do not survive, and strings that are no Unicode.
 * @throws {MaiaError} BAD_JSON, TOO_DEEP, or INVALID with a pointer to each culprit.
 */
export function parseJsonStrictly(text: string, depthMax: number, subject = "The body"): unknown {
  const scan = new Scan(text, depthMax, subject);
  scan.run();
  const value = parse(text, subject);
  if (scan.duplicates.length > 0) throw invalid(scan.duplicates, "BAD_JSON");
  if (scan.issues.length > 0) throw invalid(scan.issues);
  return value;
}

function parse(text: string, subject: string): unknown {
  if (text.trim() === "") throw new MaiaError("BAD_JSON", `${subject} is empty, but must be JSON`);
  try {
    return JSON.parse(text);
  } catch (error) {
    const at = /position (\d+)/.exec((error as Error).message)?.[1];
    throw new MaiaError("BAD_JSON", `${subject} is no JSON${at ? `: unexpected text at position ${at}` : ""}`);
  }
}

/** An array or object that the scan is inside of. */
interface Level {
  /** The keys so far; null in an array. */
  readonly keys: Set<string> | null;
  /** The present key or index. */
  place: string | number;
  /** True where an object's next string is a key. */
  atKey: boolean;
}

/** One walk over the text, which need not be JSON: what is not is left to `JSON.parse`. It neither recurses nor throws. */
class Scan {
  readonly issues: InputIssue[] = [];
  readonly duplicates: InputIssue[] = [];
  private readonly levels: Level[] = [];
  private readonly hasHalves: boolean;

  constructor(
    private readonly text: string,
    private readonly depthMax: number,
    private readonly subject: string,
  ) {
    this.hasHalves = SURROGATE.test(text);
  }

  run(): void {
    const { text } = this;
    for (let at = 0; at < text.length; ) at = this.step(text.charCodeAt(at), at);
  }

  /** Takes what begins at `at`. @returns where the next thing begins. */
  private step(char: number, at: number): number {
    switch (char) {
      case 0x22: // "
        return this.string(at);
      case 0x7b: // {
        return this.open({ keys: new Set(), place: "", atKey: true }, at);
      case 0x5b: // [
        return this.open({ keys: null, place: 0, atKey: false }, at);
      case 0x7d: // }
      case 0x5d: // ]
        this.levels.pop();
        return at + 1;
      case 0x2c: // ,
        this.comma();
        return at + 1;
      default:
        return char === 0x2d || (char >= 0x30 && char <= 0x39) ? this.number(at) : at + 1;
    }
  }

  private open(level: Level, at: number): number {
    this.levels.push(level);
    if (this.levels.length > this.depthMax) {
      throw new MaiaError("TOO_DEEP", `${this.subject} is nested deeper than ${this.depthMax} levels`);
    }
    return at + 1;
  }

  private comma(): void {
    const level = this.levels.at(-1);
    if (!level) return;
    if (level.keys) level.atKey = true;
    else level.place = (level.place as number) + 1;
  }

  private string(at: number): number {
    const end = endOfString(this.text, at);
    const level = this.levels.at(-1);
    if (level?.atKey) {
      level.atKey = false;
      this.key(level, decode(this.text.slice(at, end)));
    } else if (this.hasHalves && !isWellFormed(this.text.slice(at, end))) this.note("must be well-formed Unicode");
    return end;
  }

  private key(level: Level, key: string): void {
    level.place = key;
    if (!key.isWellFormed()) this.note("a key must be well-formed Unicode");
    if (isForbiddenKey(key)) this.note(`${key} is not allowed as a key`);
    if (level.keys?.has(key) && this.duplicates.length < ISSUES_MAX) {
      this.duplicates.push({ pointer: this.pointer(), message: "appears twice" });
    }
    level.keys?.add(key);
  }

  private number(at: number): number {
    const { text } = this;
    let end = at + 1;
    while (end < text.length && isNumberChar(text.charCodeAt(end))) end++;
    const digits = text.slice(at, end);
    if (!survives(digits)) this.note(`${digits.slice(0, 40)} cannot be kept exactly; send it as a string`);
    return end;
  }

  private note(message: string): void {
    if (this.issues.length < ISSUES_MAX) this.issues.push({ pointer: this.pointer(), message });
  }

  private pointer(): string {
    return this.levels.map(({ place }) => `/${String(place).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
  }
}

/** Where the string that begins at `at` has ended. */
function endOfString(text: string, at: number): number {
  for (let end = at + 1; end < text.length; end++) {
    const char = text.charCodeAt(end);
    if (char === 0x22) return end + 1;
    if (char === 0x5c) end++; // a backslash takes the next one with it
  }
  return text.length;
}

function decode(quoted: string): string {
  if (!quoted.includes("\\")) return quoted.slice(1, -1);
  try {
    return String(JSON.parse(quoted));
  } catch {
    return quoted;
  }
}

/** An escape that is half of a character. */
const SURROGATE = /\\u[dD]/;

/** The text itself was decoded strictly, so only an escape can bring half a character. */
function isWellFormed(quoted: string): boolean {
  return !SURROGATE.test(quoted) || decode(quoted).isWellFormed();
}

function isNumberChar(char: number): boolean {
  return (
    (char >= 0x30 && char <= 0x39) || char === 0x2e || char === 0x65 || char === 0x45 || char === 0x2b || char === 0x2d
  );
}

/** True if a JavaScript number says the same: finite, not minus zero, and with all digits where it is an integer. */
function survives(literal: string): boolean {
  if (literal.length < 16 && !/^-0|e/i.test(literal)) return true;
  const value = Number(literal);
  if (Number.isNaN(value)) return true; // no JSON, as JSON.parse will say
  if (!Number.isFinite(value) || Object.is(value, -0)) return false;
  if (value === 0) return significant(literal) === ""; // else it is too small to be told from nothing
  if (!Number.isInteger(value) || Number.isSafeInteger(value)) return true;
  return significant(literal) === significant(String(value));
}

/** The digits that count. */
function significant(literal: string): string {
  return literal
    .replace(/e.*/i, "")
    .replace(/[-.]/g, "")
    .replace(/^0+|0+$/g, "");
}
