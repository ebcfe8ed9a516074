import type { Reader } from "../reader.js";
import { type Graph, has, invert, spread } from "./graph.js";

/**
 * A group has members that do the work, and at most one rollback step, which nobody waits for. A step on a path between
 * two members must be a member, since the group is one piece of work on one runner instance.
 */
export function checkTransactions(place: Reader, graph: Graph): void {
  const { steps } = graph;
  const groups = [...new Set(steps.flatMap((step) => step.transaction ?? []))];
  checkRollbacks(place, graph);
  if (groups.length === 0) return;
  const markOf = new Map(groups.map((name, mark) => [name, mark]));
  const own = (index: number) => markOf.get(steps[index]!.transaction ?? "") ?? null;
  const before = spread(graph.order, graph.deps, own, groups.length);
  const behind = spread(graph.order.toReversed(), invert(graph.deps), own, groups.length);
  steps.forEach((step, index) => {
    for (let word = 0; word < before[index]!.length; word++) {
      if ((before[index]![word]! & behind[index]![word]!) === 0) continue;
      for (let mark = word * 32; mark < Math.min(groups.length, word * 32 + 32); mark++) {
        const isBetween = has(before[index]!, mark) && has(behind[index]!, mark);
        if (!isBetween || step.transaction === groups[mark]) continue;
        place
          .at(index)
          .fail(`${step.key} lies between two steps of transaction ${groups[mark]}, so it must belong to it`);
      }
    }
  });
}

function checkRollbacks(place: Reader, { steps, indexOf }: Graph): void {
  const rollbackOf = new Map<string, string>();
  const worked = new Set(steps.flatMap((step) => (step.rollback ? [] : (step.transaction ?? []))));
  for (const [index, step] of steps.entries()) {
    for (const [position, key] of step.deps.entries()) {
      if (!steps[indexOf.get(key) ?? -1]?.rollback) continue;
      const dep = place.at(index).at("deps").at(position);
      dep.fail(`${key} runs only after a failure, so nothing can wait for it`);
    }
    if (!step.rollback) continue;
    const rollback = place.at(index).at("rollback");
    const name = step.transaction;
    const other = rollbackOf.get(name ?? "");
    if (name === null) rollback.fail("only a step of a transaction can roll back");
    else if (other) rollback.fail(`transaction ${name} has a rollback step already: ${other}`);
    else if (!worked.has(name)) rollback.fail(`transaction ${name} has no other step`);
    if (name !== null) rollbackOf.set(name, step.key);
  }
}
