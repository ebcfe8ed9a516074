import type { Run } from "./client.ts";

/** A step of a run, which may have its result from another run. */
export interface Step {
  key: string;
  status: string;
  reusedFrom?: { runId: string; attemptId: string; attemptNo: number };
  attempts: Run["steps"][number]["attempts"];
}

export function stepsOf(run: Run): Map<string, Step> {
  return new Map((run.steps as Step[]).map((step) => [step.key, step]));
}
