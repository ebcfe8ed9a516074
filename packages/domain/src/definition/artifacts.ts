import type { Reader } from "../reader.js";
import { type Graph, has, spread } from "./graph.js";

/** A step may ask for files only of steps that are done before it. */
export function checkArtifacts(place: Reader, { steps, indexOf, deps, order }: Graph): void {
  const sources = [...new Set(steps.flatMap((step) => step.artifacts.map(({ from }) => from)))];
  if (sources.length === 0) return;
  const markOf = new Map(sources.map((key, mark) => [key, mark]));
  const before = spread(order, deps, (index) => markOf.get(steps[index]!.key) ?? null, sources.length);
  steps.forEach((step, index) => {
    const seen = new Set<string>();
    step.artifacts.forEach(({ from, name }, position) => {
      const artifact = place.at(index).at("artifacts").at(position);
      if (from === "" || name === "") return; // already refused
      const pair = `${from}\n${name}`;
      if (!indexOf.has(from)) artifact.at("from").fail(`there is no step ${JSON.stringify(from.slice(0, 64))}`);
      else if (!has(before[index]!, markOf.get(from)!)) {
        artifact.at("from").fail(`${step.key} does not wait for ${from}, neither directly nor through its deps`);
      } else if (seen.has(pair)) artifact.fail(`${name} of ${from} is listed twice`);
      seen.add(pair);
    });
  });
}
