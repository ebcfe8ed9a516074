import { canonicalJson, type Json } from "./canonical-json.js";
import type { WorkflowSnapshot } from "./workflow-snapshot.js";

/** One thing that differs between two snapshots. The pointer is the later one's, or for `remove` the earlier one's. */
export type Change = { readonly pointer: string; readonly stepKey?: string } & (
  | { readonly op: "add" | "remove"; readonly value: Json }
  | { readonly op: "replace"; readonly from: Json; readonly to: Json }
  /** The steps that both have stand in another order. */
  | { readonly op: "reorder"; readonly from: readonly string[]; readonly to: readonly string[] }
);

type JsonMap = { readonly [key: string]: Json };
type Step = JsonMap & { readonly key: string };

/** What has changed from one snapshot to another. Steps are the same by their key, wherever they stand. */
export function diffSnapshots(from: WorkflowSnapshot, to: WorkflowSnapshot): Change[] {
  const { steps: before, ...earlier } = from as unknown as JsonMap & { steps: readonly Step[] };
  const { steps: after, ...later } = to as unknown as JsonMap & { steps: readonly Step[] };
  return [...compareMembers("", earlier, later), ...compareSteps(before, after)];
}

function compareSteps(before: readonly Step[], after: readonly Step[]): Change[] {
  const earlier = new Map(before.map((step, index) => [step.key, { step, index }]));
  const later = new Set(after.map(({ key }) => key));
  const changes: Change[] = [];
  for (const [index, step] of before.entries()) {
    if (!later.has(step.key))
      changes.push({ op: "remove", pointer: `/steps/${index}`, stepKey: step.key, value: step });
  }
  for (const [index, step] of after.entries()) {
    const pointer = `/steps/${index}`;
    const other = earlier.get(step.key);
    if (!other) changes.push({ op: "add", pointer, stepKey: step.key, value: step });
    else changes.push(...compareMembers(pointer, other.step, step).map((change) => ({ ...change, stepKey: step.key })));
  }
  const kept = (steps: readonly Step[], others: { has(key: string): boolean }) =>
    steps.map(({ key }) => key).filter((key) => others.has(key));
  const [was, is] = [kept(before, later), kept(after, earlier)];
  if (was.some((key, index) => is[index] !== key))
    changes.push({ op: "reorder", pointer: "/steps", from: was, to: is });
  return changes;
}

function compareMembers(pointer: string, from: JsonMap, to: JsonMap): Change[] {
  const names = [...new Set([...Object.keys(from), ...Object.keys(to)])].sort();
  return names.flatMap((name) => {
    const place = `${pointer}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
    if (!Object.hasOwn(to, name)) return [{ op: "remove" as const, pointer: place, value: from[name]! }];
    if (!Object.hasOwn(from, name)) return [{ op: "add" as const, pointer: place, value: to[name]! }];
    return compare(place, from[name]!, to[name]!);
  });
}

/** Lists are one value: what an index means in one of them says little about the other. */
function compare(pointer: string, from: Json, to: Json): Change[] {
  if (isMap(from) && isMap(to)) return compareMembers(pointer, from, to);
  return canonicalJson(from) === canonicalJson(to) ? [] : [{ op: "replace", pointer, from, to }];
}

function isMap(value: Json): value is JsonMap {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
