import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { attemptMoves } from "./attempt.js";
import { batchMoves } from "./batch.js";
import { inputFileMoves } from "./input-file.js";
import { jobRunMoves } from "./job-run.js";
import { type Moves, nextStatus, terminalStatuses } from "./machine.js";
import { runMoves } from "./run.js";
import { runStepMoves } from "./run-step.js";

const tables: { what: string; moves: Moves<string>; start: string; ends: string[] }[] = [
  { what: "a JobRun", moves: jobRunMoves, start: "QUEUED", ends: ["SUCCEEDED", "FAILED", "CANCELED"] },
  { what: "a Run", moves: runMoves, start: "PENDING_INPUTS", ends: ["SUCCEEDED", "FAILED", "CANCELED"] },
  {
    what: "a RunStep",
    moves: runStepMoves,
    start: "PENDING",
    ends: ["SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"],
  },
  {
    what: "an Attempt",
    moves: attemptMoves,
    start: "DISPATCHING",
    ends: ["SUCCEEDED", "FAILED", "CANCELED", "LOST"],
  },
  { what: "an InputFile", moves: inputFileMoves, start: "FETCHING", ends: ["READY", "FAILED"] },
  { what: "a Batch", moves: batchMoves, start: "RUNNING", ends: ["SUCCEEDED", "FAILED", "CANCELED"] },
];

describe.each(tables)("the moves of $what (G9)", ({ moves, start, ends }) => {
  const known = new Set([start, ...Object.values(moves).flatMap((move) => [...move.from, move.to])]);

  it("end where the contract says, and nothing leaves an end", () => {
    expect(new Set(terminalStatuses(moves))).toEqual(new Set(ends));
  });

  it("keep every sequence of events inside the table, and in its end once it is there", () => {
    const names = fc.array(fc.oneof(fc.constantFrom(...Object.keys(moves)), fc.string()), { maxLength: 12 });
    fc.assert(
      fc.property(names, (sequence) => {
        let status = start;
        for (const name of sequence) {
          const next = nextStatus(moves, name, status);
          if (next === null) continue;
          expect(ends).not.toContain(status);
          expect(known).toContain(next);
          status = next;
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("nextStatus", () => {
  it("knows no move by the name of something that every object has", () => {
    for (const name of ["constructor", "toString", "__proto__"])
      expect(nextStatus(runMoves, name, "RUNNING")).toBeNull();
  });
});
