import type { Json, JsonObject } from "./canonical-json.js";
import { type ErrorCode, type InputIssue, invalid } from "./errors.js";
import { isForbiddenKey } from "./names.js";

/** Most issues that one answer lists. */
const ISSUES_MAX = 100;
/** How deep a JSON value inside an input may be. Source: guarantees, `JSON_DEPTH_MAX`. */
const JSON_DEPTH_MAX = 64;

/** What was wrong with an input so far. */
class IssueList {
  readonly issues: InputIssue[] = [];
  private readonly codes = new Set<ErrorCode>();

  /** One fault is told once, however often its place is read. */
  add(issue: InputIssue, code: ErrorCode): void {
    this.codes.add(code);
    if (this.issues.some(({ pointer, message }) => pointer === issue.pointer && message === issue.message)) return;
    if (this.issues.length < ISSUES_MAX) this.issues.push(issue);
  }

  /** One kind of issue has a code of its own; a mixture is INVALID. */
  throwIfAny(): void {
    const [code, ...others] = this.codes;
    if (code) throw invalid(this.issues, others.length > 0 ? "INVALID" : code);
  }
}

/** A rule for one value: what is wrong with it, or null. */
export type Rule<T> = (value: T) => string | null;

/**
 * One value of an untrusted JSON document, with its JSON Pointer. Reading goes on after a fault with a stand-in of the
 * right type, so that one answer names everything that is wrong.
 */
export class Reader {
  private constructor(
    readonly value: unknown,
    private readonly parent: Reader | null,
    private readonly key: string | number,
    private readonly found: IssueList,
  ) {}

  /** Reads a document. @throws {MaiaError} with an issue for each fault. */
  static read<T>(value: unknown, read: (root: Reader) => T): T {
    const found = new IssueList();
    const result = read(new Reader(value, null, "", found));
    found.throwIfAny();
    return result;
  }

  /** Where the value stands. Put together only when somebody asks, since most values are fine. */
  get pointer(): string {
    if (this.parent === null) return "";
    return `${this.parent.pointer}/${String(this.key).replaceAll("~", "~0").replaceAll("/", "~1")}`;
  }

  get isAbsent(): boolean {
    return this.value === undefined;
  }

  get isNull(): boolean {
    return this.value === null;
  }

  /** True while nothing at all was wrong. */
  get isClean(): boolean {
    return this.found.issues.length === 0;
  }

  /** The same fault list, at a place below this one. */
  at(key: string | number, value?: unknown): Reader {
    return new Reader(value, this, key, this.found);
  }

  fail(message: string, code: ErrorCode = "INVALID"): void {
    this.found.add({ pointer: this.pointer, message }, code);
  }

  /** An object with known members only. Absent members read as absent. */
  object(known: readonly string[], hints: Readonly<Record<string, string>> = {}): (name: string) => Reader {
    const object = this.record();
    for (const key of Object.keys(object)) {
      if (!known.includes(key)) this.at(key).fail(Object.hasOwn(hints, key) ? hints[key]! : "is not a known field");
    }
    return (name) => this.at(name, Object.hasOwn(object, name) ? object[name] : undefined);
  }

  /** The members of an object whose names are free. */
  entries(max: number): [string, Reader][] {
    const entries = Object.entries(this.isAbsent ? {} : this.record());
    if (entries.length > max) {
      this.fail(`must have at most ${max} members`);
      return [];
    }
    return entries.map(([key, value]) => [key, this.at(key, value)]);
  }

  /** The items of a list; absent is empty. */
  items(max: number): Reader[] {
    if (this.isAbsent) return [];
    if (!Array.isArray(this.value)) {
      this.fail(`must be a list, got ${kindOf(this.value)}`);
      return [];
    }
    if (this.value.length > max) {
      this.fail(`must have at most ${max} items`);
      return [];
    }
    return this.value.map((item, index) => this.at(index, item));
  }

  string(rule?: Rule<string>): string {
    if (typeof this.value !== "string") {
      this.fail(this.isAbsent ? "is required" : `must be a string, got ${kindOf(this.value)}`);
      return "";
    }
    const problem = rule?.(this.value) ?? null;
    if (problem) this.fail(problem);
    return problem ? "" : this.value;
  }

  /** A string that may be left out or null. */
  optionalString(rule?: Rule<string>): string | null {
    return this.isAbsent || this.isNull ? null : this.string(rule);
  }

  /** An integer that may be left out or null. */
  optionalInteger(min: number, max: number): number | null {
    return this.isAbsent || this.isNull ? null : this.integer(min, max);
  }

  boolean(fallback: boolean): boolean {
    if (this.isAbsent) return fallback;
    if (typeof this.value === "boolean") return this.value;
    this.fail(`must be true or false, got ${kindOf(this.value)}`);
    return fallback;
  }

  integer(min: number, max: number, fallback?: number): number {
    return this.number(min, max, fallback, Number.isSafeInteger, "an integer");
  }

  number(min: number, max: number, fallback?: number, test = Number.isFinite, what = "a number"): number {
    if (this.isAbsent && fallback !== undefined) return fallback;
    const { value } = this;
    if (typeof value === "number" && test(value) && value >= min && value <= max) return value === 0 ? 0 : value; // no -0
    this.fail(this.isAbsent ? "is required" : `must be ${what} from ${min} to ${max}, got ${show(value)}`);
    return fallback ?? min;
  }

  oneOf<T extends string | number>(allowed: readonly T[], fallback?: T): T {
    if (this.isAbsent && fallback !== undefined) return fallback;
    const match = allowed.find((item) => item === this.value);
    if (match !== undefined) return match;
    const choice = allowed.map((item) => JSON.stringify(item)).join(", ");
    this.fail(
      this.isAbsent
        ? "is required"
        : `must be ${allowed.length > 1 ? "one of " : ""}${choice}, got ${show(this.value)}`,
    );
    return fallback ?? allowed[0]!;
  }

  /** Any JSON object, copied. */
  jsonObject(): JsonObject {
    const object = this.record();
    const copy = this.copy(object, 0);
    return copy as JsonObject;
  }

  record(): Readonly<Record<string, unknown>> {
    if (isRecord(this.value)) return this.value;
    this.fail(this.isAbsent ? "is required" : `must be an object, got ${kindOf(this.value)}`);
    return {};
  }

  private copy(value: unknown, depth: number): Json {
    if (depth > JSON_DEPTH_MAX) return this.refuse(`must not be deeper than ${JSON_DEPTH_MAX} levels`);
    if (value === null || typeof value === "boolean") return value;
    if (typeof value === "number") return Number.isFinite(value) ? value : this.refuse("must be a finite number");
    if (typeof value === "string") return value.isWellFormed() ? value : this.refuse("must be well-formed Unicode");
    if (Array.isArray(value)) return value.map((item, index) => this.at(index).copy(item, depth + 1));
    if (!isRecord(value)) return this.refuse(`is no JSON: ${kindOf(value)}`);
    const copy: Record<string, Json> = {};
    for (const [key, member] of Object.entries(value)) {
      const place = this.at(key);
      if (isForbiddenKey(key)) place.fail(`${key} is not allowed as a key`);
      else if (!key.isWellFormed()) this.fail("a key is not well-formed Unicode");
      else copy[key] = place.copy(member, depth + 1);
    }
    return copy;
  }

  private refuse(message: string): null {
    this.fail(message);
    return null;
  }
}

/** True for an object as JSON has them, and not a list, a date or an instance of something. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** A short picture of a value for a message. */
export function show(value: unknown): string {
  if (typeof value === "number") return String(value);
  if (typeof value === "string") return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  return typeof value === "boolean" ? String(value) : kindOf(value);
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return "null";
  if (Array.isArray(value)) return "a list";
  const kind = typeof value;
  return kind === "object" ? "an object" : `a ${kind}`;
}
