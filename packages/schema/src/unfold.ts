import { isRecord } from "@maia/domain";
import { resolvePointer } from "./pointer.js";

/** Most sub-schemas that may apply to one value at one place. Honest schemas have tens; a bomb has millions. */
export const UNFOLD_MAX = 10_000;

/** Keywords whose schemas apply to the very value that their own schema applies to. */
const LISTS = ["allOf", "anyOf", "oneOf"] as const;
const SINGLES = ["not", "if", "then", "else"] as const;
const MAPS = ["dependentSchemas", "dependencies"] as const;

/**
 * How many sub-schemas apply to one value when every reference is followed: two alternatives that each lead to two more
 * double it with every level, so that a few hundred bytes can mean more work than a machine has time for. Infinity where
 * a schema leads back to itself without looking at another value.
 */
export function unfoldedSize(root: unknown, schema: unknown): number {
  const sizes = new Map<object, number>();
  const open = new Set<object>();

  function sizeOf(at: unknown): number {
    if (!isRecord(at)) return 1;
    const known = sizes.get(at);
    if (known !== undefined) return known;
    if (open.has(at)) return Number.POSITIVE_INFINITY;
    open.add(at);
    const size = 1 + inPlace(root, at).reduce<number>((sum, next) => sum + sizeOf(next), 0);
    open.delete(at);
    sizes.set(at, size);
    return size;
  }
  return sizeOf(schema);
}

/** The schemas that apply to the same value as this one. */
function inPlace(root: unknown, schema: Readonly<Record<string, unknown>>): unknown[] {
  const found: unknown[] = [];
  if (typeof schema.$ref === "string" && schema.$ref.startsWith("#"))
    found.push(resolvePointer(root, targetOf(schema.$ref)));
  for (const keyword of LISTS) if (Array.isArray(schema[keyword])) found.push(...(schema[keyword] as unknown[]));
  for (const keyword of SINGLES) if (isRecord(schema[keyword])) found.push(schema[keyword]);
  for (const keyword of MAPS) if (isRecord(schema[keyword])) found.push(...Object.values(schema[keyword]));
  return found;
}

/** The pointer in a reference; a fragment that cannot be decoded leads nowhere, which is refused elsewhere. */
function targetOf(reference: string): string {
  try {
    return decodeURIComponent(reference.slice(1));
  } catch {
    return "/";
  }
}
