import { RE2JS } from "re2js";

/** A regular expression that takes time in proportion to its input, however it is written. */
export class LinearPattern {
  private readonly compiled: RE2JS;

  /** @throws {Error} when the expression cannot be had in linear time, or is none. */
  constructor(private readonly pattern: string) {
    this.compiled = RE2JS.compile(RE2JS.translateRegExp(pattern));
  }

  test(text: string): boolean {
    return this.compiled.test(text);
  }

  /** Ajv tells patterns apart by this text. */
  toString(): string {
    return `/${this.pattern}/`;
  }
}

/** What is wrong with a regular expression, or null. */
export function patternProblem(pattern: string): string | null {
  try {
    new LinearPattern(pattern);
    return null;
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^error parsing regexp: /, "") : String(error);
    return `is no regular expression that Maia can run (look-around and back-references are left out): ${reason}`;
  }
}
