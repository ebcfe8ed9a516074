import { createHash, randomBytes } from "node:crypto";
import type { Task } from "@maia/runner-protocol";

export const sha256 = (bytes: string | Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** The script and input of `aTask`, by hash. */
export const contents = (script: string, input: string): Map<string, Uint8Array> =>
  new Map([script, input].map((text) => [sha256(text), Buffer.from(text)]));

export const ONE_SCRIPT = "export default async () => ({ answer: 42 });\n";

/** `input.json` of a task. */
export const inputOf = (task: Pick<Task, "runId" | "stepKey" | "attemptNo">): string =>
  JSON.stringify({
    runId: task.runId,
    stepKey: task.stepKey,
    attemptNo: task.attemptNo,
    initialInput: { files: [] },
    upstream: {},
  });

/** A task that keeps to the protocol, with its bytes. */
export function aTask(change: Partial<Task> = {}, script = ONE_SCRIPT): { task: Task; bytes: Map<string, Uint8Array> } {
  const name = randomBytes(6).toString("hex");
  const head = { runId: `run_${name}`, stepKey: "only", attemptNo: 1, ...change };
  const input = inputOf(head);
  const task: Task = {
    attemptId: `att_${name}`,
    epoch: 1,
    token: name,
    kind: "step",
    workflowId: "wf_1",
    runtime: "node",
    script: { sha256: sha256(script) },
    input: { sha256: sha256(input) },
    files: [],
    env: {},
    secrets: {},
    deps: null,
    reuseKey: null,
    transaction: null,
    timeoutMs: 60_000,
    graceMs: 1_000,
    reconnectWindowMs: 30_000,
    limits: {
      logLineMax: 65_536,
      logAttemptMax: 67_108_864,
      outputMax: 524_288,
      artifactsMax: 100,
      artifactMax: 10_000_000,
      memoryBytes: null,
      processes: null,
    },
    isolation: null,
    ...head,
  };
  return { task, bytes: contents(script, input) };
}
