import { type Mutation, nextSteps } from "./moves.js";
import { initialState, keyOf, type State } from "./state.js";

/** What the exploration of every reachable state has found. */
export interface Exploration {
  readonly states: number;
  readonly transitions: number;
  /** The shortest way to a state that breaks a promise, or null. */
  readonly violation: { readonly promise: string; readonly path: readonly string[] } | null;
  /** States from which the job can never end, however well things go from there. */
  readonly deadEnds: number;
}

/** Visits every reachable state, breadth first, and checks each. */
export function explore(faults: number, mutation: Mutation | null = null): Exploration {
  const first = initialState(faults);
  const places = new Map([[keyOf(first), 0]]);
  const path: { from: number; what: string }[] = [{ from: -1, what: "" }];
  const edges: number[] = [];
  const over: number[] = [];
  let at = 0;
  for (let wave = [first]; wave.length > 0; ) {
    const nextWave: State[] = [];
    for (const state of wave) {
      if (state.job === "over") over.push(at);
      for (const { what, state: next } of nextSteps(state, mutation)) {
        const key = keyOf(next);
        let place = places.get(key);
        if (place === undefined) {
          place = places.size;
          places.set(key, place);
          path.push({ from: at, what });
          nextWave.push(next);
          const promise = brokenPromise(state, next);
          const violation = promise && { promise, path: pathTo(path, place) };
          if (violation) return { states: places.size, transitions: edges.length / 2, violation, deadEnds: 0 };
        }
        edges.push(at, place);
      }
      at++;
    }
    wave = nextWave;
  }
  const deadEnds = places.size - countLiving(places.size, edges, over);
  return { states: places.size, transitions: edges.length / 2, violation: null, deadEnds };
}

function brokenPromise(before: State, after: State): string | null {
  if (after.runs > 1) return "G3: two runs of one job";
  if (after.starts.some((count) => count > 1)) return "G6: an attempt was started twice";
  if (after.decidedEpoch < before.decidedEpoch) return "G7: a decision of an older epoch after a newer one";
  return null;
}

function pathTo(path: readonly { from: number; what: string }[], place: number): string[] {
  const steps: string[] = [];
  for (let at = place; at > 0; at = path[at]!.from) steps.unshift(path[at]!.what);
  return steps;
}

/** How many states have a way to one where the job is over. */
function countLiving(size: number, edges: readonly number[], over: readonly number[]): number {
  const firstOf = new Uint32Array(size + 1); // where a state's sources begin in `sources`
  for (let i = 1; i < edges.length; i += 2) firstOf[edges[i]! + 1]!++;
  for (let at = 0; at < size; at++) firstOf[at + 1]! += firstOf[at]!;
  const sources = new Uint32Array(edges.length / 2);
  const filled = firstOf.slice();
  for (let i = 0; i < edges.length; i += 2) sources[filled[edges[i + 1]!]!++] = edges[i]!;
  const isLiving = new Uint8Array(size);
  const living = [...over];
  for (const at of over) isLiving[at] = 1;
  for (let i = 0; i < living.length; i++) {
    for (let k = firstOf[living[i]!]!; k < firstOf[living[i]! + 1]!; k++) {
      const source = sources[k]!;
      if (isLiving[source] === 1) continue;
      isLiving[source] = 1;
      living.push(source);
    }
  }
  return living.length;
}
