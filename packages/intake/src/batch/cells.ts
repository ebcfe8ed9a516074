import type { Json, JsonObject } from "@maia/domain";

/** The types that a schema of params gives one of them; none where it does not say. */
export function typesOf(schema: JsonObject | null, name: string): readonly string[] {
  const properties = asObject(schema?.properties);
  const property = properties && Object.hasOwn(properties, name) ? asObject(properties[name]) : null;
  return [property?.type].flat().filter((type) => typeof type === "string");
}

/** The params that a schema asks for and has no default for. */
export function neededParams(schema: JsonObject | null): string[] {
  const required = Array.isArray(schema?.required) ? schema.required : [];
  const properties = asObject(schema?.properties);
  return required.filter((name) => {
    if (typeof name !== "string") return false;
    const property = properties && Object.hasOwn(properties, name) ? asObject(properties[name]) : null;
    return !property || !Object.hasOwn(property, "default");
  }) as string[];
}

function asObject(value: Json | undefined): JsonObject | null {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as JsonObject) : null;
}

const JSON_NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
const NUMBER = /^[+-]?\d+(\.\d+)?([eE][+-]?\d+)?$/;

/**
 * What a cell of a table means as a param. An empty one is left out. Where text is wanted it is that text; otherwise
 * numbers, true and false stand for themselves, and null, lists and objects do where they are asked for. What does not
 * fit stays text, for the schema to complain about.
 */
export function readCell(cell: string, types: readonly string[]): Json | undefined {
  if (cell === "") return undefined;
  if (types.includes("string")) return cell;
  const text = cell.trim();
  const isOpen = types.length === 0;
  if (isOpen ? JSON_NUMBER.test(text) : NUMBER.test(text) && (types.includes("number") || types.includes("integer"))) {
    return readNumber(text) ?? cell;
  }
  if (isOpen && (text === "true" || text === "false")) return text === "true";
  if (types.includes("boolean") && /^(true|false)$/i.test(text)) return text.toLowerCase() === "true";
  if (types.includes("null") && text === "null") return null;
  return (types.includes("array") || types.includes("object") ? readCompound(text) : undefined) ?? cell;
}

/** Undefined where a double would not keep what is written. */
function readNumber(text: string): number | undefined {
  const value = Number(text);
  const isKept = /[.eE]/.test(text) ? Number.isFinite(value) : Number.isSafeInteger(value);
  return isKept ? value + 0 : undefined;
}

function readCompound(text: string): Json | undefined {
  try {
    const value: Json = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
