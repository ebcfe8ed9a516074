import path from "node:path";

/** Settings that load one of the scripts in `preloads/` into a process of Maia's before its own code. */
export function preload(
  name: "die-at-commit" | "runner-version" | "wall-clock",
  settings: Record<string, string>,
): Record<string, string> {
  return { NODE_OPTIONS: `--import ${path.join(import.meta.dirname, "preloads", `${name}.mjs`)}`, ...settings };
}
