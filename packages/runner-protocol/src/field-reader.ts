import { isInteger, isObject, isSha256 } from "./checks.js";
import { badField, type ProtocolError } from "./protocol-error.js";

const ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/;

/** Reads the fields of an untrusted object, and names the one that is wrong as `files[2].path`. */
export class FieldReader {
  private constructor(
    private readonly fields: { readonly [name: string]: unknown },
    private readonly within: string,
  ) {}

  /** @throws {ProtocolError} bad_task, as does every method. */
  static root(value: unknown, what: string): FieldReader {
    if (!isObject(value)) throw badField("bad_task", what, "must be a JSON object");
    return new FieldReader(value, "");
  }

  has(name: string): boolean {
    return Object.hasOwn(this.fields, name);
  }

  /** True for a field that is null or left out. */
  isNull(name: string): boolean {
    return (this.value(name) ?? null) === null;
  }

  isEmpty(name: string): boolean {
    return this.value(name) === "";
  }

  bad(name: string, problem: string): ProtocolError {
    return badField("bad_task", this.within + name, problem);
  }

  /** A string that the rule has nothing against. The rule answers what is wrong, or null. */
  checked(name: string, rule: (value: string) => string | null): string {
    const value = this.value(name);
    if (typeof value !== "string") throw this.bad(name, "must be a string");
    const problem = rule(value);
    if (problem) throw this.bad(name, problem);
    return value;
  }

  /** A string of 1 to `max` characters. */
  text(name: string, max: number): string {
    return this.checked(name, (value) => {
      if (value === "" || value.length > max) return `must have 1 to ${max} characters`;
      return value.isWellFormed() && !value.includes("\0") ? null : "must be well-formed Unicode without NUL";
    });
  }

  id(name: string, pattern = ID): string {
    return this.checked(name, (value) => (pattern.test(value) ? null : "must be an id: letters, digits, _ and -"));
  }

  sha256(name: string): string {
    return this.checked(name, (value) => (isSha256(value) ? null : "must be 64 lower-case hexadecimal digits"));
  }

  integer(name: string, min: number): number {
    const value = this.value(name);
    if (!isInteger(value, min)) throw this.bad(name, `must be a whole number from ${min} on`);
    return value;
  }

  flag(name: string): boolean {
    const value = this.value(name);
    if (typeof value !== "boolean") throw this.bad(name, "must be true or false");
    return value;
  }

  oneOf<T extends string>(name: string, allowed: readonly T[]): T {
    const value = this.value(name) as T;
    if (!allowed.includes(value)) throw this.bad(name, `must be one of ${allowed.join(", ")}`);
    return value;
  }

  object(name: string): FieldReader {
    const value = this.value(name);
    if (!isObject(value)) throw this.bad(name, "must be an object");
    return new FieldReader(value, `${this.within}${name}.`);
  }

  /** The names of an object whose fields are free. */
  names(max: number): string[] {
    const names = Object.keys(this.fields);
    if (names.length > max) throw badField("bad_task", this.within.slice(0, -1), `must have at most ${max} members`);
    return names;
  }

  /** The items of a list of objects. */
  list(name: string, max: number): FieldReader[] {
    return this.items(name, max).map((item, index) => {
      if (!isObject(item)) throw this.bad(`${name}[${index}]`, "must be an object");
      return new FieldReader(item, `${this.within}${name}[${index}].`);
    });
  }

  strings(name: string, max: number, rule: (value: string) => string | null): string[] {
    return this.items(name, max).map((item, index) => {
      const problem = typeof item === "string" ? rule(item) : "must be a string";
      if (problem) throw this.bad(`${name}[${index}]`, problem);
      return item as string;
    });
  }

  private items(name: string, max: number): readonly unknown[] {
    const value = this.value(name);
    if (!Array.isArray(value)) throw this.bad(name, "must be a list");
    if (value.length > max) throw this.bad(name, `must have at most ${max} items`);
    return value;
  }

  private value(name: string): unknown {
    return this.has(name) ? this.fields[name] : undefined;
  }
}
