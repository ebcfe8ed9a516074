import type { Task } from "../src/index.js";

/** A task that keeps to the protocol. */
export function aTask(): Task {
  return {
    attemptId: "att_01k",
    epoch: 1,
    token: "t".repeat(32),
    kind: "step",
    runId: "run_01k",
    stepKey: "parse",
    attemptNo: 1,
    workflowId: "wf_01k",
    runtime: "node",
    script: { sha256: "a".repeat(64) },
    input: { sha256: "b".repeat(64) },
    files: [{ path: "uploads/a file.csv", sha256: "c".repeat(64), sizeBytes: 3 }],
    env: { REPORT_STYLE: "short", DATABASE_URL: "its own" },
    secrets: { WAREHOUSE_DSN: "hush" },
    deps: null,
    reuseKey: null,
    transaction: null,
    timeoutMs: 600_000,
    graceMs: 10_000,
    reconnectWindowMs: 60_000,
    limits: {
      logLineMax: 65_536,
      logAttemptMax: 67_108_864,
      outputMax: 524_288,
      artifactsMax: 100,
      artifactMax: 1_000_000,
      memoryBytes: null,
      processes: null,
    },
    isolation: null,
  };
}
