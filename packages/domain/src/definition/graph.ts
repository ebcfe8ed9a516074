import type { Reader } from "../reader.js";
import type { StepSnapshot } from "../workflow-snapshot.js";
import { checkArtifacts } from "./artifacts.js";
import { checkTransactions } from "./transactions.js";

/** The steps by number, and for each the numbers of those it waits for. No recursion: chains may be 10,000 deep. */
export interface Graph {
  readonly steps: readonly StepSnapshot[];
  readonly indexOf: ReadonlyMap<string, number>;
  readonly deps: readonly (readonly number[])[];
  /** The numbers so that each step comes after those it waits for. */
  readonly order: readonly number[];
}

/** Checks how the steps hang together: keys, deps, cycles, artifacts, transactions. */
export function checkGraph(place: Reader, steps: readonly StepSnapshot[]): void {
  const indexOf = indexKeys(place, steps);
  const deps = steps.map((step, index) => indexDeps(place.at(index).at("deps"), step, indexOf));
  const order = sort(deps);
  if (order.length < steps.length) {
    failCycle(place, steps, deps, order);
    return;
  }
  checkDepth(place, deps, order);
  const graph: Graph = { steps, indexOf, deps, order };
  checkArtifacts(place, graph);
  checkTransactions(place, graph);
}

/** The longest row of steps that wait for each other. Source: guarantee row B034, which refuses one of 5,000. */
const DEPTH_MAX = 1_000;

function checkDepth(place: Reader, deps: readonly (readonly number[])[], order: readonly number[]): void {
  const depth = deps.map(() => 1);
  for (const index of order) {
    for (const dep of deps[index]!) depth[index] = Math.max(depth[index]!, depth[dep]! + 1);
    if (depth[index]! <= DEPTH_MAX) continue;
    place.at(index).at("deps").fail(`is the end of a chain of more than ${DEPTH_MAX} steps`);
    return;
  }
}

function indexKeys(place: Reader, steps: readonly StepSnapshot[]): Map<string, number> {
  const indexOf = new Map<string, number>();
  steps.forEach(({ key }, index) => {
    const other = indexOf.get(key);
    if (key === "") return; // already refused
    if (other === undefined) indexOf.set(key, index);
    else place.at(index).at("key").fail(`${key} is the key of step ${other} already`);
  });
  return indexOf;
}

function indexDeps(place: Reader, step: StepSnapshot, indexOf: ReadonlyMap<string, number>): number[] {
  const seen = new Set<number>();
  step.deps.forEach((key, position) => {
    const index = indexOf.get(key);
    const dep = () => place.at(position);
    if (key === step.key) dep().fail("a step cannot wait for itself");
    else if (index === undefined) dep().fail(`there is no step ${JSON.stringify(key.slice(0, 64))}`);
    else if (seen.has(index)) dep().fail(`${key} is listed twice`);
    else seen.add(index);
  });
  return [...seen];
}

/** Kahn's algorithm. Steps on a cycle, or behind one, are left out. */
function sort(deps: readonly (readonly number[])[]): number[] {
  const waiting = deps.map((list) => list.length);
  const consumers = invert(deps);
  const order = deps.flatMap((list, index) => (list.length === 0 ? [index] : []));
  for (let at = 0; at < order.length; at++) {
    for (const consumer of consumers[order[at]!]!) if (--waiting[consumer]! === 0) order.push(consumer);
  }
  return order;
}

/** For each step the numbers of those that wait for it. */
export function invert(deps: readonly (readonly number[])[]): number[][] {
  const consumers: number[][] = deps.map(() => []);
  deps.forEach((list, index) => {
    for (const dep of list) consumers[dep]!.push(index);
  });
  return consumers;
}

/** Every unsorted step waits for an unsorted one, so following them runs into a cycle. */
function failCycle(
  place: Reader,
  steps: readonly StepSnapshot[],
  deps: readonly (readonly number[])[],
  order: readonly number[],
): void {
  const sorted = new Set(order);
  const path: number[] = [];
  const placeOf = new Map<number, number>();
  let step = deps.findIndex((_, index) => !sorted.has(index));
  while (!placeOf.has(step)) {
    placeOf.set(step, path.length);
    path.push(step);
    step = deps[step]!.find((dep) => !sorted.has(dep))!;
  }
  const cycle = [...path.slice(placeOf.get(step)), step].map((index) => steps[index]!.key);
  const shown = cycle.length > 20 ? [...cycle.slice(0, 10), "…", ...cycle.slice(-9)] : cycle;
  const last = path.at(-1)!;
  const message = `these steps wait for each other: ${shown.join(" → ")}`;
  place.at(last).at("deps").at(steps[last]!.deps.indexOf(steps[step]!.key)).fail(message, "CYCLE");
}

/**
 * Carries marks along the edges. `sources[i]` are the steps whose marks step i takes over, `own(i)` is the mark that it
 * hands on besides; `order` visits sources first.
 * @returns for each step the marks of everything before it, as bits.
 */
export function spread(
  order: Iterable<number>,
  sources: readonly (readonly number[])[],
  own: (index: number) => number | null,
  marks: number,
): Uint32Array[] {
  const words = Math.ceil(marks / 32);
  const before = sources.map(() => new Uint32Array(words));
  for (const index of order) {
    const mine = before[index]!;
    for (const source of sources[index]!) {
      const theirs = before[source]!;
      for (let word = 0; word < words; word++) mine[word]! |= theirs[word]!;
      const mark = own(source);
      if (mark !== null) mine[mark >> 5]! |= 1 << (mark & 31);
    }
  }
  return before;
}

/** True when a set of bits has a mark. */
export function has(bits: Uint32Array, mark: number): boolean {
  return ((bits[mark >> 5]! >>> (mark & 31)) & 1) === 1;
}
