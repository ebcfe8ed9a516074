import { describe, expect, it } from "@jest/globals";
import { type ExitFacts, judgeExit } from "./attempt.js";

const clean: ExitFacts = { exitCode: 0, signal: null, reason: "exited", error: null };

describe("judgeExit", () => {
  it("calls an attempt a success only when its process left with 0 and an output was recorded (G8)", () => {
    expect(judgeExit(clean, true)).toEqual({ move: "succeed", failure: null });
    expect(judgeExit(clean, false)).toMatchObject({ move: "fail", failure: { code: "OUTPUT_INVALID" } });
  });

  it.each([
    [{ exitCode: 3 }, "fail", "STEP_EXIT_CODE"],
    [{ exitCode: null, signal: "SIGSEGV" }, "fail", "STEP_SIGNAL"],
    [{ exitCode: null }, "fail", "STEP_EXIT_CODE"],
    [{ reason: "timeout", exitCode: null, signal: "SIGKILL" }, "fail", "STEP_TIMEOUT"],
    [{ reason: "oom" }, "fail", "STEP_OOM"],
    [{ reason: "spawn_failed" }, "fail", "STEP_SPAWN_FAILED"],
    [{ reason: "canceled" }, "cancel", "CANCELED"],
    [{ reason: "lost" }, "lose", "RUNNER_LOST"],
    [{ reason: "lost", error: { code: "DRAIN_TIMEOUT", message: "stopped" } }, "lose", "DRAIN_TIMEOUT"],
    [{ error: { code: "OUTPUT_INVALID", message: "no object" } }, "fail", "OUTPUT_INVALID"],
  ] as const)("ends %j by %s with %s", (facts, move, code) => {
    expect(judgeExit({ ...clean, ...facts }, true)).toMatchObject({ move, failure: { code } });
  });
});
