import { type InputIssue, isRecord, show } from "@maia/domain";
import { type Draft, draftOf, keywordHolds } from "./keywords.js";
import { measure, type SizeLimits } from "./measure.js";
import { pointerTo, resolvePointer } from "./pointer.js";
import { UNFOLD_MAX, unfoldedSize } from "./unfold.js";

/** What a look at a schema's structure finds. */
export interface Inspection {
  readonly issues: readonly InputIssue[];
  readonly draft: Draft;
  /** Every regular expression in it, by where it stands. */
  readonly patterns: readonly { readonly pointer: string; readonly pattern: string }[];
  /** Where the sub-schemas are that have a default. */
  readonly defaults: readonly string[];
}

/**
 * Looks at a schema without running it: its size, its keywords, its references. What passes has no way to reach outside
 * of itself, to validate asynchronously or to look at data from within a schema.
 */
export function inspectSchema(schema: unknown, limits: SizeLimits): Inspection {
  const found = { issues: measure(schema, limits), draft: "2020-12" as Draft, patterns: [], defaults: [] };
  if (found.issues.length > 0) return found;
  const refuse = (pointer: string, message: string) => ({ ...found, issues: [{ pointer, message }] });
  if (!isRecord(schema)) return refuse("", "must be a JSON Schema object");
  const draft = draftOf(schema.$schema);
  if (!draft) return refuse("/$schema", "must name draft 2020-12 or draft-07");
  if (schema.type !== "object") return refuse("/type", 'must be "object", since params are one');
  const inspector = new Inspector(schema, draft);
  inspector.lookAt(schema, "");
  return inspector;
}

const TYPES = ["string", "number", "integer", "boolean", "object", "array", "null"];

class Inspector implements Inspection {
  readonly issues: InputIssue[] = [];
  readonly patterns: { pointer: string; pattern: string }[] = [];
  readonly defaults: string[] = [];

  constructor(
    private readonly root: unknown,
    readonly draft: Draft,
  ) {}

  lookAt(schema: unknown, pointer: string): void {
    if (typeof schema === "boolean") return;
    if (!isRecord(schema)) {
      this.fail(pointer, "must be a schema: an object, true or false");
      return;
    }
    if (unfoldedSize(this.root, schema) > UNFOLD_MAX) {
      this.fail(
        pointer,
        `unfolds to more than ${UNFOLD_MAX.toLocaleString("en")} schemas for one value, or never ends`,
      );
      return;
    }
    for (const [keyword, value] of Object.entries(schema))
      this.lookAtKeyword(keyword, value, pointerTo(pointer, keyword));
    if (Object.hasOwn(schema, "default")) this.defaults.push(pointer);
  }

  private lookAtKeyword(keyword: string, value: unknown, pointer: string): void {
    const holds = keywordHolds(this.draft, keyword);
    if (keyword === "$ref") this.lookAtReference(value, pointer);
    if (keyword === "type") this.lookAtType(value, pointer);
    if (keyword === "$schema" && pointer !== "/$schema") this.fail(pointer, "is allowed only at the root");
    if (keyword === "pattern" && typeof value === "string") this.patterns.push({ pointer, pattern: value });
    if (holds === null) this.fail(pointer, `${keyword} is no keyword that Maia allows`);
    else if (holds === "schema" && Array.isArray(value)) this.lookAtList(keyword, value, pointer);
    else if (holds === "schema") this.lookAt(value, pointer);
    else if (holds === "list of schemas" && Array.isArray(value)) this.lookAtList(keyword, value, pointer);
    else if (holds === "map of schemas" && isRecord(value)) this.lookAtMap(keyword, value, pointer);
    else if (holds !== "value") this.fail(pointer, `must be a ${holds}`);
  }

  private lookAtList(keyword: string, list: readonly unknown[], pointer: string): void {
    const isTuple = keyword === "items" && this.draft === "draft-07";
    if (!isTuple && keywordHolds(this.draft, keyword) === "schema") this.fail(pointer, "must be a schema, not a list");
    for (const [index, schema] of list.entries()) this.lookAt(schema, pointerTo(pointer, index));
  }

  private lookAtMap(keyword: string, map: Readonly<Record<string, unknown>>, pointer: string): void {
    for (const [name, schema] of Object.entries(map)) {
      const place = pointerTo(pointer, name);
      if (keyword === "patternProperties") this.patterns.push({ pointer: place, pattern: name });
      if (keyword === "dependencies" && Array.isArray(schema)) continue; // names of other members
      if (name in Object.prototype && isRecord(schema) && Object.hasOwn(schema, "default")) {
        this.fail(pointerTo(place, "default"), `a property called ${name} cannot have a default`); // every object has one
      }
      this.lookAt(schema, place);
    }
  }

  private lookAtType(value: unknown, pointer: string): void {
    const unknown = [value].flat().find((name) => typeof name !== "string" || !TYPES.includes(name));
    if (unknown !== undefined) this.fail(pointer, `must be one of ${TYPES.join(", ")}, got ${show(unknown)}`);
  }

  private lookAtReference(value: unknown, pointer: string): void {
    if (typeof value !== "string" || !/^#(?:\/|$)/.test(value)) {
      this.fail(pointer, "must lead to a place in this schema, such as #/$defs/name");
      return;
    }
    const target = decode(value.slice(1));
    if (target === null || resolvePointer(this.root, target) === undefined)
      this.fail(pointer, `leads nowhere: ${value}`);
  }

  private fail(pointer: string, message: string): void {
    this.issues.push({ pointer, message });
  }
}

function decode(fragment: string): string | null {
  try {
    return decodeURIComponent(fragment);
  } catch {
    return null;
  }
}
