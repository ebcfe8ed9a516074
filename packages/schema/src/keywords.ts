/** Which JSON Schema a document is written in. */
export type Draft = "2020-12" | "draft-07";

/** The draft that `$schema` names; null where it names none that Maia knows. */
export function draftOf(name: unknown): Draft | null {
  if (name === undefined) return "2020-12";
  if (typeof name !== "string") return null;
  const plain = name.replace(/^https?:\/\//, "").replace(/#$/, "");
  if (plain === "json-schema.org/draft/2020-12/schema") return "2020-12";
  return plain === "json-schema.org/draft-07/schema" ? "draft-07" : null;
}

/** What a keyword's value holds: schemas to look into, or something that is no schema. */
export type Holds = "schema" | "list of schemas" | "map of schemas" | "value";

const both: Record<string, Holds> = {
  $schema: "value",
  $ref: "value",
  $defs: "map of schemas",
  $comment: "value",
  definitions: "map of schemas",
  type: "value",
  enum: "value",
  const: "value",
  title: "value",
  description: "value",
  default: "value",
  deprecated: "value",
  readOnly: "value",
  writeOnly: "value",
  examples: "value",
  format: "value",
  contentEncoding: "value",
  contentMediaType: "value",
  multipleOf: "value",
  maximum: "value",
  exclusiveMaximum: "value",
  minimum: "value",
  exclusiveMinimum: "value",
  maxLength: "value",
  minLength: "value",
  pattern: "value",
  maxItems: "value",
  minItems: "value",
  uniqueItems: "value",
  maxProperties: "value",
  minProperties: "value",
  required: "value",
  items: "schema",
  contains: "schema",
  properties: "map of schemas",
  patternProperties: "map of schemas",
  additionalProperties: "schema",
  propertyNames: "schema",
  allOf: "list of schemas",
  anyOf: "list of schemas",
  oneOf: "list of schemas",
  not: "schema",
  if: "schema",
  // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
  then: "schema",
  else: "schema",
};

const byDraft: Record<Draft, Record<string, Holds>> = {
  "2020-12": {
    ...both,
    prefixItems: "list of schemas",
    minContains: "value",
    maxContains: "value",
    dependentRequired: "value",
    dependentSchemas: "map of schemas",
    unevaluatedItems: "schema",
    unevaluatedProperties: "schema",
  },
  "draft-07": { ...both, additionalItems: "schema", dependencies: "map of schemas" },
};

/** What a keyword holds, or null where it is not allowed. Names that begin with `x-` are notes. */
export function keywordHolds(draft: Draft, keyword: string): Holds | null {
  if (keyword.startsWith("x-")) return "value";
  const known = byDraft[draft];
  return Object.hasOwn(known, keyword) ? known[keyword]! : null;
}
