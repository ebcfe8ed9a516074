import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { type Frame, FrameSequence } from "../src/index.js";

const log = (seq: number): Frame => ({
  type: "log",
  seq,
  stream: "stdout",
  line: `line ${seq}`,
  at: "2026-11-20T12:00:00.123Z",
});
const started = (attemptId = "att_1"): Frame => ({
  type: "started",
  seq: 1,
  attemptId,
  epoch: 1,
  pid: 7,
  isolation: "sandbox",
});
const exit = (lastSeq: number): Frame => ({
  type: "exit",
  lastSeq,
  exitCode: 0,
  signal: null,
  reason: "exited",
  error: null,
});

describe("the sequence of an attempt's frames", () => {
  it("passes over heartbeats, repeats and whatever follows the exit", () => {
    const sequence = new FrameSequence("att_1");
    expect(sequence.take([started(), { type: "heartbeat" }, log(2)])).toEqual({
      frames: [started(), log(2)],
      state: "open",
    });
    const rest = sequence.take([log(2), log(3), exit(3), exit(3), log(4)]);
    expect(rest).toEqual({ frames: [log(3), exit(3)], state: "ended" });
    expect(sequence.take([log(4)]).frames).toEqual([]);
  });

  it("notices a hole, before a frame as before the exit", () => {
    const sequence = new FrameSequence("att_1");
    expect(sequence.take([log(1), log(3), log(4)])).toEqual({ frames: [log(1)], state: "gap" });
    expect(sequence.nextSeq).toBe(2);
    expect(sequence.take([exit(2)])).toEqual({ frames: [], state: "gap" });
    expect(sequence.take([log(2), exit(2)]).state).toBe("ended");
  });

  it("does not believe frames of another attempt, nor an exit that forgets frames", () => {
    expect(() => new FrameSequence("att_1").take([started("att_2")])).toThrow(
      expect.objectContaining({ code: "bad_sequence" }),
    );
    const sequence = new FrameSequence("att_1");
    sequence.take([log(1), log(2)]);
    expect(() => sequence.take([exit(1)])).toThrow(expect.objectContaining({ code: "bad_sequence" }));
  });

  it("gives each frame exactly once, in order, however streams overlap (G14)", () => {
    const session = [started(), ...Array.from({ length: 30 }, (_, index) => log(index + 2)), exit(31)];
    const streams = fc.array(fc.record({ from: fc.nat(40), length: fc.nat(40) }));
    const property = fc.property(streams, (cuts) => {
      const sequence = new FrameSequence("att_1");
      const got: Frame[] = [];
      for (const { from, length } of [...cuts, { from: 0, length: 40 }])
        got.push(...sequence.take(session.slice(from, from + length)).frames);
      expect(got).toEqual(session);
    });
    fc.assert(property, { numRuns: 500 });
  });
});
