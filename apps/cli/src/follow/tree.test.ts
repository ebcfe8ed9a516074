import { describe, expect, it } from "@jest/globals";
import type { Run } from "../api-types.js";
import { applyEvent, openView, type RunEvent, type RunView } from "./run-view.js";
import { renderTree } from "./tree.js";

const canvas = { columns: 70, rows: 30, paint: (_: unknown, text: string) => text };
const at = (second: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString();
const now = new Date(at(10));

function aRun(steps: [key: string, deps: string[]][]): Run {
  const bare = {
    name: "",
    runtime: "node",
    status: "PENDING",
    nextAttemptAt: null,
    startedAt: null,
    finishedAt: null,
    attempts: [],
  };
  const whole = steps.map(([key, deps]) => ({ ...bare, key, deps }));
  return {
    id: "run_1",
    jobId: "job_1",
    workflow: "report",
    workflowId: "wf_1",
    version: 3,
    status: "RUNNING",
    outputs: null,
    failure: null,
    steps: whole,
    createdAt: at(0),
    startedAt: at(0),
    finishedAt: null,
  };
}

function after(view: RunView, ...events: [kind: RunEvent["kind"], data: object][]): RunView {
  return events.reduce(
    (state, [kind, data]) =>
      applyEvent(state, { id: "1", kind, data: { runId: "run_1", at: at(5), ...data } } as RunEvent),
    view,
  );
}

const diamond = openView(
  aRun([
    ["parse", []],
    ["left", ["parse"]],
    ["right", ["parse"]],
    ["report", ["left", "right"]],
  ]),
);

describe("the tree", () => {
  it("shows every step once, beneath the last of its deps, with what it is doing", () => {
    const view = after(
      diamond,
      ["run_status", { status: "RUNNING", at: at(1) }],
      ["step_status", { stepKey: "parse", status: "RUNNING", at: at(1) }],
      ["step_status", { stepKey: "parse", status: "SUCCEEDED", at: at(3) }],
      ["step_status", { stepKey: "left", status: "RUNNING", at: at(4) }],
      ["attempt_status", { stepKey: "left", attemptNo: 2, status: "RUNNING" }],
      ["log_line", { stepKey: "left", attemptNo: 2, lines: [{ line: "half way \u001b[31mthere" }, { line: "" }] }],
    );
    expect(renderTree(view, canvas, now)).toEqual([
      "▶ report v3  1/4  10.0s  run_1",
      "  ✓ parse                   SUCCEEDED  2.0s",
      "    ▶ left                  RUNNING  6.0s  attempt 2",
      "      half way there",
      "    · right                 PENDING",
      "      · report              PENDING",
    ]);
  });

  it("says when a step waits for its next attempt, and why a step failed", () => {
    const failure = { code: "STEP_EXIT_CODE", message: "exit code 1" };
    const waiting = after(
      diamond,
      ["step_status", { stepKey: "parse", status: "RUNNING", at: at(1) }],
      ["attempt_status", { stepKey: "parse", attemptNo: 1, status: "FAILED", failure }],
      ["step_status", { stepKey: "parse", status: "RUNNING", nextAttemptAt: at(12) }],
    );
    expect(renderTree(waiting, canvas, now)[1]).toBe(
      "  ↻ parse                   attempt 1 failed, next in 2.0s  9.0s",
    );
    const failed = after(waiting, ["step_status", { stepKey: "parse", status: "FAILED", at: at(9) }]);
    expect(renderTree(failed, canvas, now)[1]).toBe("  ✕ parse                   FAILED  8.0s  exit code 1");
  });

  it("never draws a line that wraps", () => {
    const view = after(
      diamond,
      ["step_status", { stepKey: "parse", status: "RUNNING" }],
      ["log_line", { stepKey: "parse", attemptNo: 1, lines: [{ line: "x".repeat(500) }] }],
    );
    for (const line of renderTree(view, { ...canvas, columns: 40 }, now)) expect(line.length).toBeLessThanOrEqual(40);
  });

  it("folds what does not fit into the window, and keeps what runs", () => {
    const wide = openView(aRun(Array.from({ length: 50 }, (_, at) => [`step-${at}`, []])));
    const view = after(wide, ["step_status", { stepKey: "step-40", status: "RUNNING" }]);
    const lines = renderTree(view, { ...canvas, rows: 10 }, now);
    expect(lines.length).toBeLessThan(10);
    expect(lines[1]).toMatch(/▶ step-40/);
    expect(lines.at(-1)).toBe("  … 49 PENDING, 1 RUNNING");
  });

  it("ignores what it does not know", () => {
    expect(after(diamond, ["step_status", { stepKey: "nowhere", status: "RUNNING" }], ["runner_status", {}])).toEqual(
      diamond,
    );
  });
});
