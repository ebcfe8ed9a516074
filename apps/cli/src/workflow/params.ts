import { readFile } from "node:fs/promises";
import { text as readStream } from "node:stream/consumers";
import { invalid, usage } from "../errors.js";

export type Params = Readonly<Record<string, unknown>>;

/** The schema of a workflow's params, as far as it is known; it decides how `--param` values are read. */
export type ParamsSchema = {
  readonly properties?: Readonly<Record<string, { readonly type?: unknown } | boolean>>;
} | null;

/** Splits `name=value`. The value may hold more `=`. @throws {CliError} without a name. */
export function splitPair(text: string, flag: string): [name: string, value: string] {
  const at = text.indexOf("=");
  if (at < 1) throw usage(`${flag} ${text}: it must be NAME=VALUE`);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** True where reading the values needs the schema: one of them could be something else than text. */
export function needsSchema(pairs: readonly string[]): boolean {
  return pairs.some((pair) => asJson(pair.slice(pair.indexOf("=") + 1)) !== undefined);
}

/**
 * Reads `--param NAME=VALUE`s. Where the schema says that a param is a string, the value is that text. Otherwise a value
 * that is a JSON number, true, false, null or "quoted" stands for itself; lists and objects do where the schema asks for
 * one. Everything else is text.
 */
export function readParams(pairs: readonly string[], schema: ParamsSchema): Params {
  const entries = pairs.map((pair) => {
    const [name, value] = splitPair(pair, "--param");
    return [name, readValue(value, typesOf(schema, name))] as const;
  });
  return Object.fromEntries(entries);
}

function readValue(value: string, types: readonly string[]): unknown {
  if (types.includes("string")) return value;
  const parsed = asJson(value);
  if (parsed === undefined) return value;
  const isCompound = typeof parsed === "object" && parsed !== null;
  return isCompound && !types.includes(Array.isArray(parsed) ? "array" : "object") ? value : parsed;
}

function typesOf(schema: ParamsSchema, name: string): string[] {
  const properties = schema?.properties ?? {};
  const property = Object.hasOwn(properties, name) ? properties[name] : undefined;
  const type = typeof property === "object" ? property.type : undefined;
  return [type].flat().filter((item) => typeof item === "string");
}

function asJson(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return undefined;
  }
}

/** Reads `--params FILE` or, for `-`, stdin: one JSON object. @throws {CliError} */
export async function readParamsFile(path: string): Promise<Params> {
  const text = path === "-" ? await readStream(process.stdin) : await readFile(path, "utf8").catch(() => null);
  if (text === null) throw usage(`There is no file ${path}`);
  const value = asJson(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalid(`${path === "-" ? "stdin" : path} does not hold a JSON object`);
  }
  return value as Params;
}
