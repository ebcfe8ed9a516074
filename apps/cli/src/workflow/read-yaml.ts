import { type Document, isMap, isNode, isPair, isScalar, LineCounter, parseDocument, visit } from "yaml";
import { type Fault, invalid } from "../errors.js";

/** A YAML file that holds plain JSON values, and where each of them stands. */
export interface YamlFile {
  readonly value: unknown;
  /** The place of a JSON Pointer, as `line:column`. Of a missing one: the nearest place around it. */
  readonly placeOf: (pointer: string) => string | null;
}

const MAX_BYTES = 1_024 * 1_024;
/** How often anchors may be repeated in all. Source: nobody needs more; ten nested anchors of ten make a billion. */
const MAX_ALIASES = 100;

/**
 * Reads YAML 1.2 with the types of JSON and no others: no tags, no merge keys, no duplicate keys.
 * @throws {CliError} with the place of each fault.
 */
export function readYaml(text: string, name: string): YamlFile {
  if (Buffer.byteLength(text) > MAX_BYTES) throw invalid(`${name} is larger than ${MAX_BYTES / 1_024} KiB`);
  const lines = new LineCounter();
  const doc = parseDocument(text, {
    schema: "core",
    version: "1.2",
    merge: false,
    uniqueKeys: true,
    resolveKnownTags: false,
    stringKeys: true,
    prettyErrors: false,
    lineCounter: lines,
  });
  const placeAt = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${line}:${col}`;
  };
  const faults = [...doc.errors, ...doc.warnings].map(({ pos, message }) => ({
    pointer: "",
    message: `${placeAt(pos[0])} ${firstLine(message)}`,
  }));
  if (faults.length === 0) faults.push(...notJson(doc, placeAt));
  if (faults.length > 0) throw invalid(`${name} is not usable YAML`, faults);
  return { value: toValue(doc, name), placeOf: (pointer) => placeOf(doc, pointer, placeAt) };
}

function toValue(doc: Document, name: string): unknown {
  try {
    return doc.toJS({ maxAliasCount: MAX_ALIASES });
  } catch {
    throw invalid(`${name} repeats its anchors more than ${MAX_ALIASES} times`);
  }
}

/** What YAML can say and JSON cannot. */
function notJson(doc: Document, placeAt: (offset: number) => string): Fault[] {
  const faults: Fault[] = [];
  const fault = (node: unknown, message: string) => {
    const offset = isNode(node) ? (node.range?.[0] ?? 0) : 0;
    faults.push({ pointer: "", message: `${placeAt(offset)} ${message}` });
  };
  visit(doc, (_key, node) => {
    if (isNode(node) && "tag" in node && node.tag) fault(node, `The tag ${node.tag} is not allowed`);
    if (isScalar(node) && typeof node.value === "number" && !Number.isFinite(node.value))
      fault(node, `${node.value} is no JSON number`);
    if (isPair(node) && isScalar(node.key) && ["__proto__", "<<"].includes(String(node.key.value))) {
      fault(node.key, `The key ${node.key.value} is not allowed`);
    }
  });
  return faults;
}

function placeOf(doc: Document, pointer: string, placeAt: (offset: number) => string): string | null {
  const path = pointer
    .split("/")
    .slice(1)
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
  for (let length = path.length; length > 0; length--) {
    const offset = offsetOf(doc, path.slice(0, length));
    if (offset !== null) return placeAt(offset);
  }
  return null;
}

/** Where the key stands in a map, or the item in a list. */
function offsetOf(doc: Document, path: readonly string[]): number | null {
  const parent = path.length === 1 ? doc.contents : doc.getIn(path.slice(0, -1).map(index), true);
  const name = path.at(-1)!;
  if (isMap(parent)) {
    const key = parent.items.find((pair) => isScalar(pair.key) && pair.key.value === name)?.key;
    return isNode(key) ? (key.range?.[0] ?? null) : null;
  }
  const item = doc.getIn(path.map(index), true);
  return isNode(item) ? (item.range?.[0] ?? null) : null;
}

function index(part: string): string | number {
  return /^\d+$/.test(part) ? Number(part) : part;
}

function firstLine(message: string): string {
  return message.split("\n")[0] ?? message;
}
