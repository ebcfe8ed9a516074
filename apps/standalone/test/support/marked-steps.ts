import type { Step } from "./client.ts";

/** Tells the sink who it is: one entry per start of an attempt. For node. */
export const REPORT = `await fetch(process.env.SINK + "/" + [process.env.MAIA_RUN_ID, process.env.MAIA_STEP_KEY, process.env.MAIA_ATTEMPT_NO].join(","));`;

/** A step that tells the sink that it started, and then works for a while. */
export function aMarkedStep(key: string, deps: string[] = [], workMs = 0, more: Partial<Step> = {}): Step {
  const work = workMs > 0 ? `await new Promise((resolve) => setTimeout(resolve, ${workMs}));` : "";
  return { key, deps, script: `${REPORT}\n${work}\nexport default () => ({ from: "${key}" });`, ...more };
}
