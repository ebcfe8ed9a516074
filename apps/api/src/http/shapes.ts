import { Reader, type Rule } from "@maia/domain";

/** A JSON Schema (2020-12), as the OpenAPI document shows it. */
export type JsonSchema = { readonly [keyword: string]: unknown };

/** What a value looks like: its schema for the document, and how to read it from outside. One declaration gives both. */
export interface Shape<T> {
  readonly schema: JsonSchema;
  /** Reads an untrusted value. Faults are noted in the reader. */
  readonly read: (at: Reader) => T;
  /** The name under which the document keeps the schema; unnamed ones stand where they are used. */
  readonly name?: string;
}

/** A field that may be left out. */
export interface Optional<T> extends Shape<T> {
  readonly optional: true;
}

/** The type of what has the shape. */
export type Of<S> = S extends Shape<infer T> ? T : never;

export type Fields = { readonly [name: string]: Shape<unknown> };
type OptionalNames<F extends Fields> = { [K in keyof F]: F[K] extends Optional<unknown> ? K : never }[keyof F];
type Flat<T> = { [K in keyof T]: T[K] };
export type ObjectOf<F extends Fields> = Flat<
  { readonly [K in Exclude<keyof F, OptionalNames<F>>]: Of<F[K]> } & { readonly [K in OptionalNames<F>]?: Of<F[K]> }
>;

/** A string. A rule says in words what is wrong with one; `keywords` say it to the document's readers. */
export function text(keywords: JsonSchema = {}, rule?: Rule<string>): Shape<string> {
  return { schema: { type: "string", ...keywords }, read: (at) => at.string(rule) };
}

export function integer(min: number, max: number, keywords: JsonSchema = {}): Shape<number> {
  return { schema: { type: "integer", minimum: min, maximum: max, ...keywords }, read: (at) => at.integer(min, max) };
}

export function flag(keywords: JsonSchema = {}): Shape<boolean> {
  return { schema: { type: "boolean", ...keywords }, read: (at) => at.boolean(false) };
}

export function choice<const T extends string>(values: readonly T[], keywords: JsonSchema = {}): Shape<T> {
  return { schema: { type: "string", enum: values, ...keywords }, read: (at) => at.oneOf(values) };
}

export function list<T>(item: Shape<T>, maxItems: number, keywords: JsonSchema = {}): Shape<readonly T[]> {
  return {
    schema: { type: "array", items: refer(item), maxItems, ...keywords },
    read: (at) => at.items(maxItems).map((place) => item.read(place)),
  };
}

/** An object whose keys are free. */
export function map<T>(
  value: Shape<T>,
  maxProperties: number,
  keyRule?: Rule<string>,
): Shape<{ readonly [key: string]: T }> {
  return {
    schema: { type: "object", additionalProperties: refer(value), maxProperties },
    read: (at) => {
      const entries = at.entries(maxProperties).map(([key, place]) => {
        const problem = keyRule?.(key);
        if (problem) place.fail(problem);
        return [key, value.read(place)] as const;
      });
      return Object.fromEntries(entries);
    },
  };
}

/** An object with these fields and no others. */
export function object<F extends Fields>(fields: F, keywords: JsonSchema = {}): Shape<ObjectOf<F>> {
  const names = Object.keys(fields);
  const required = names.filter((name) => !("optional" in fields[name]!));
  return {
    schema: {
      type: "object",
      properties: Object.fromEntries(names.map((name) => [name, refer(fields[name]!)])),
      ...(required.length > 0 ? { required } : {}),
      additionalProperties: false,
      ...keywords,
    },
    read: (at) => {
      const field = at.object(names);
      const entries = names.flatMap((name) => {
        const place = field(name);
        return place.isAbsent && !required.includes(name) ? [] : [[name, fields[name]!.read(place)]];
      });
      return Object.fromEntries(entries) as ObjectOf<F>;
    },
  };
}

export function optional<T>(shape: Shape<T>): Optional<T> {
  return { ...shape, optional: true };
}

export function nullable<T>(shape: Shape<T>): Shape<T | null> {
  const { schema } = shape;
  const widened =
    shape.name || typeof schema.type !== "string" || "enum" in schema
      ? { anyOf: [refer(shape), { type: "null" }] }
      : { ...schema, type: [schema.type, "null"] };
  return { schema: widened, read: (at) => (at.isNull ? null : shape.read(at)) };
}

/** JSON that is passed on as it came: whoever it is for checks it. */
export function passedOn(schema: JsonSchema): Shape<unknown> {
  return { schema, read: (at) => at.value };
}

/** Any JSON object. */
export const anyObject = passedOn({ type: "object" }) as Shape<{ readonly [key: string]: unknown }>;

/** Keeps the schema in the document under a name. */
export function named<T>(name: string, shape: Shape<T>, example?: NoInfer<T>): Shape<T> {
  return { ...shape, name, schema: example === undefined ? shape.schema : { ...shape.schema, examples: [example] } };
}

/** Reads a body. @throws {MaiaError} with a pointer to each fault. */
export function readBody<T>(shape: Shape<T>, value: unknown): T {
  return Reader.read(value, (root) => shape.read(root));
}

const REFERENCES = new Map<string, JsonSchema>();

/** How another schema points at this one: by its name where it has one. */
export function refer(shape: Shape<unknown>): JsonSchema {
  if (!shape.name) return shape.schema;
  REFERENCES.set(shape.name, shape.schema);
  return { $ref: `#/components/schemas/${shape.name}` };
}

/** Every schema that has been referred to by its name. */
export function namedSchemas(): Record<string, JsonSchema> {
  return Object.fromEntries([...REFERENCES].sort(([a], [b]) => (a < b ? -1 : 1)));
}
