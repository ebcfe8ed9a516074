import { readFileSync } from "node:fs";
import { parseSync } from "@swc/core";

const KINDS = ["it", "test", "describe"];
/** `it.skip` and the like: such a test proves nothing. */
const IDLE = ["skip", "todo", "failing"];

interface Node {
  readonly type: string;
  readonly [field: string]: unknown;
}

/**
 * The full titles of the tests in a file as jest shows them, with the placeholders of `each` as they are written. Rows of a
 * table of tests (`{ id, what, … }`) are titles too.
 */
export function testTitles(file: string): string[] {
  const titles: string[] = [];
  visit(parseSync(readFileSync(file, "utf8"), { syntax: "typescript", target: "esnext" }).body, "", titles);
  return titles;
}

function visit(node: unknown, prefix: string, titles: string[]): void {
  if (typeof node !== "object" || node === null) return;
  const row = rowOf(node as Node);
  if (row) titles.push(row);
  const found = titleOf(node as Node);
  if (found?.isIdle) return;
  if (found && found.kind !== "describe") titles.push(prefix + found.title);
  const inside = found?.kind === "describe" ? `${prefix}${found.title} ` : prefix;
  for (const child of Object.values(node)) visit(child, inside, titles);
}

function titleOf(node: Node): { kind: string; title: string; isIdle: boolean } | null {
  if (node.type !== "CallExpression") return null;
  const names = namesOf(node.callee as Node);
  const [kind = ""] = names;
  const [first] = node.arguments as { expression: Node }[];
  if (!KINDS.includes(kind) || first?.expression.type !== "StringLiteral") return null;
  return { kind, title: first.expression.value as string, isIdle: names.some((name) => IDLE.includes(name)) };
}

/** `{ id: "B001", what: "half an object", … }` → `B001: half an object`. */
function rowOf(node: Node): string | null {
  if (node.type !== "ObjectExpression") return null;
  const texts = (node.properties as Node[]).flatMap(({ key, value }) => {
    const [name, text] = [key as Node | undefined, value as Node | undefined];
    return name?.type === "Identifier" && text?.type === "StringLiteral" ? [[name.value, text.value] as const] : [];
  });
  const { id, what } = Object.fromEntries(texts) as { id?: string; what?: string };
  return id !== undefined && what !== undefined ? `${id}: ${what}` : null;
}

/** `it.each(…)` → `["it", "each"]`. */
function namesOf(callee: Node): string[] {
  if (callee.type === "Identifier") return [callee.value as string];
  if (callee.type === "CallExpression") return namesOf(callee.callee as Node);
  if (callee.type !== "MemberExpression") return [];
  return [...namesOf(callee.object as Node), ...namesOf(callee.property as Node)];
}
