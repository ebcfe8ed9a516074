import { formsOf } from "./forms.js";

/** What stands where a secret was. */
export const MASK = "***";
/** A shorter beginning of a value, at the end of a text that was cut, says too little. */
const BEGINNING_MIN = 4;

/** A text from `from` on up to `to`. */
type Span = readonly [from: number, to: number];

/**
 * Replaces the values of secrets by `***`: each longest piece of a text in which every character belongs to an
 * occurrence of some value becomes one mask, so that values that overlap or touch leave nothing of one another.
 */
export class Redactor {
  private constructor(private readonly forms: readonly string[]) {}

  /** Null where there is nothing to keep secret, and so nothing to pay for. */
  static of(values: readonly string[]): Redactor | null {
    if (values.length === 0) return null;
    return new Redactor([...new Set(values.flatMap(formsOf))]);
  }

  /** The text with its secrets masked. */
  text(text: string): string {
    return masked(text, this.spans(text), false).out;
  }

  /** The same for a text that may have been cut: a value's beginning at its end goes as well. */
  cutText(text: string): string {
    const spans = this.spans(text);
    const begins = this.beginsAt(text);
    if (text.length - begins >= BEGINNING_MIN) spans.push([begins, text.length]);
    return masked(text, merged(spans), false).out;
  }

  /** JSON with its secrets masked: names, texts, and numbers that are secrets. */
  json<T>(value: T): T {
    return this.#json(value) as T;
  }

  /** A stream of text that comes in pieces. */
  stream(): RedactedText {
    return new RedactedText(this);
  }

  /** Where the longest beginning of a value starts with which the text ends; its length where there is none. */
  beginsAt(text: string): number {
    let earliest = text.length;
    for (const form of this.forms) {
      const first = form[0]!;
      const from = Math.max(0, text.length - form.length + 1);
      for (let at = text.indexOf(first, from); at >= 0 && at < earliest; at = text.indexOf(first, at + 1)) {
        if (form.startsWith(text.slice(at))) earliest = at;
      }
    }
    return earliest;
  }

  /** Where values stand in the text, in order, merged where they overlap or touch. */
  spans(text: string): Span[] {
    const spans: Span[] = [];
    for (const form of this.forms) {
      for (let at = text.indexOf(form); at >= 0; at = text.indexOf(form, at + 1)) spans.push([at, at + form.length]);
    }
    return merged(spans);
  }

  #json(value: unknown): unknown {
    if (typeof value === "string") return this.text(value);
    if (typeof value === "number") {
      const text = String(value);
      const out = this.text(text);
      return out === text ? value : out;
    }
    if (Array.isArray(value)) return value.map((item) => this.#json(item));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [this.text(name), this.#json(item)]));
  }
}

/** Text that comes in pieces. What comes out, taken together, is what the whole text would have become. */
export class RedactedText {
  private held = "";
  /** True: the held text begins within a value whose mask has been given out. */
  private isWithin = false;
  /** How much of the held text is known to belong to a value. */
  private within = 0;

  constructor(private readonly redactor: Redactor) {}

  /** True while the beginning of what may be a value is held back. */
  get isHolding(): boolean {
    return this.held !== "";
  }

  push(piece: string): string {
    if (piece === "") return "";
    return this.#give(this.held + piece, false);
  }

  /** Nothing more will come. */
  end(): string {
    return this.#give(this.held, true);
  }

  #give(text: string, isEnd: boolean): string {
    const upTo = isEnd ? text.length : this.redactor.beginsAt(text);
    const known: Span[] = this.within > 0 ? [[0, this.within]] : [];
    const spans = merged([...known, ...this.redactor.spans(text)]);
    const given = masked(text.slice(0, upTo), cutAt(spans, upTo), this.isWithin);
    if (upTo > 0) this.isWithin = given.endsWithin;
    this.held = text.slice(upTo);
    this.within = Math.max(0, (spans.find(([from, to]) => from <= upTo && to > upTo)?.[1] ?? 0) - upTo);
    return given.out;
  }
}

function merged(spans: Span[]): Span[] {
  const result: [number, number][] = [];
  for (const [from, to] of spans.sort((a, b) => a[0] - b[0])) {
    const last = result.at(-1);
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else result.push([from, to]);
  }
  return result;
}

function cutAt(spans: readonly Span[], end: number): Span[] {
  return spans.flatMap(([from, to]) => (from < end ? [[from, Math.min(to, end)] as const] : []));
}

/** Puts a mask for each span; `isWithin`: the one for a span at the beginning has been put already. */
function masked(text: string, spans: readonly Span[], isWithin: boolean): { out: string; endsWithin: boolean } {
  let out = "";
  let at = 0;
  for (const [from, to] of spans) {
    out += text.slice(at, from);
    if (from > 0 || !isWithin) out += MASK;
    at = to;
  }
  return { out: out + text.slice(at), endsWithin: at === text.length && spans.length > 0 };
}
