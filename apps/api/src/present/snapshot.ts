import type { WorkflowSnapshot } from "@maia/domain";

type Readable = Pick<WorkflowSnapshot, "steps" | "dependencies">;

const NONE: WorkflowSnapshot["dependencies"] = { npm: {}, python: [] };

/** What can be read of a stored snapshot. A damaged one has no steps, so that all else known of its runs can be shown. */
export function readableSnapshot(text: string): Readable {
  try {
    const { steps, dependencies }: Partial<WorkflowSnapshot> = JSON.parse(text) ?? {};
    return { steps: Array.isArray(steps) ? steps : [], dependencies: dependencies ?? NONE };
  } catch (error) {
    if (error instanceof SyntaxError) return { steps: [], dependencies: NONE };
    throw error;
  }
}
