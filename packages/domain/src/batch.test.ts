import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { type BatchFacts, batchMoves, endOfBatch, planBatch, QUEUED_AHEAD } from "./batch.js";
import { nextStatus, terminalStatuses } from "./machine.js";

const batch: BatchFacts = {
  status: "RUNNING",
  itemCount: 100,
  opened: 0,
  concurrency: 10,
  maxFailures: null,
  isCancelRequested: false,
  failure: null,
  queued: 0,
  running: 0,
  failed: 0,
};
const plan = (facts: Partial<BatchFacts>) => planBatch({ ...batch, ...facts });

describe("planBatch", () => {
  it("opens as many rows as may run at once", () => {
    expect(plan({})).toEqual({ do: "open", count: 10 });
    expect(plan({ opened: 14, queued: 1, running: 7 })).toEqual({ do: "open", count: 2 });
    expect(plan({ opened: 10, queued: 3, running: 7 })).toBeNull();
    expect(plan({ opened: 98 })).toEqual({ do: "open", count: 2 });
  });

  it("never has more rows in the queue than others should wait behind", () => {
    expect(plan({ concurrency: 10_000, itemCount: 5_000 })).toEqual({ do: "open", count: QUEUED_AHEAD });
    expect(plan({ concurrency: 10_000, opened: 64, queued: QUEUED_AHEAD })).toBeNull();
  });

  it("opens nothing while it is held, and still ends", () => {
    expect(plan({ status: "PAUSED" })).toBeNull();
    expect(plan({ status: "PAUSED", opened: 100 })).toEqual({ do: "end" });
    expect(plan({ status: "PAUSED", isCancelRequested: true })).toEqual({ do: "end" });
  });

  it("gives up once so many rows have failed, unless there is nothing to give up", () => {
    const failing = { maxFailures: 3, failed: 3, opened: 20 };
    expect(plan({ ...failing, failed: 2, running: 10 })).toBeNull();
    expect(plan({ ...failing, running: 4 })).toMatchObject({ do: "giveUp", failure: { code: "MAX_FAILURES" } });
    expect(plan({ ...failing, opened: 100 })).toEqual({ do: "end" });
  });

  it("stops what is open before it ends", () => {
    const failure = { code: "MAX_FAILURES" as const, message: "" };
    expect(plan({ isCancelRequested: true, opened: 5, running: 1 })).toEqual({ do: "stopJobs" });
    expect(plan({ failure, opened: 5, queued: 1 })).toEqual({ do: "stopJobs" });
    expect(plan({ failure, opened: 5 })).toEqual({ do: "end" });
  });

  it("leads every batch to an end that its jobs account for, opening each row once", () => {
    const job = fc.constantFrom("succeeded" as const, "failed" as const, "canceled" as const);
    const wants = fc.record({
      ends: fc.array(job, { minLength: 1, maxLength: 60 }),
      concurrency: fc.integer({ min: 1, max: 100 }),
      maxFailures: fc.option(fc.integer({ min: 1, max: 5 })),
      cancelAfter: fc.option(fc.nat(60)),
    });
    fc.assert(
      fc.property(wants, ({ ends, concurrency, maxFailures, cancelAfter }) => {
        const counts = { queued: 0, running: 0, succeeded: 0, failed: 0, canceled: 0 };
        let facts: BatchFacts = { ...batch, itemCount: ends.length, concurrency, maxFailures };
        for (let rounds = 0; ; rounds++) {
          if (rounds > 1_000) throw new Error("it does not end");
          const ended = counts.succeeded + counts.failed + counts.canceled;
          facts = { ...facts, ...counts, isCancelRequested: cancelAfter !== null && ended >= cancelAfter };
          const action = planBatch(facts);
          if (action?.do === "end") break;
          if (action?.do === "open") {
            facts = { ...facts, opened: facts.opened + action.count };
            counts.queued += action.count;
            expect(counts.queued + counts.running).toBeLessThanOrEqual(concurrency);
          } else if (action?.do === "giveUp") facts = { ...facts, failure: action.failure };
          else if (action?.do === "stopJobs") {
            counts.canceled += counts.queued;
            counts.queued = 0;
            if (counts.running-- > 0) counts.canceled += 1;
            counts.running = Math.max(counts.running, 0);
          } else if (counts.queued > 0) {
            counts.queued -= 1;
            counts.running += 1;
          } else {
            counts.running -= 1;
            counts[ends[ended]!] += 1;
          }
        }
        expect(facts.opened).toBeLessThanOrEqual(facts.itemCount);
        expect(counts.succeeded + counts.failed + counts.canceled).toBe(facts.opened);
        const { move } = endOfBatch(facts, counts);
        expect(move === "succeed").toBe(counts.succeeded === facts.itemCount);
        if (move === "cancel") expect(counts.canceled > 0 || facts.isCancelRequested).toBe(true);
        if (move === "fail") expect(counts.failed).toBeGreaterThan(0);
      }),
    );
  });
});

describe("endOfBatch", () => {
  const end = (counts: object, facts: Partial<BatchFacts> = {}) =>
    endOfBatch(
      { ...batch, opened: 100, ...facts },
      { queued: 0, running: 0, succeeded: 0, failed: 0, canceled: 0, ...counts },
    );

  it("tells a failed row from a canceled one, and both from success", () => {
    expect(end({ succeeded: 100 })).toEqual({ move: "succeed", failure: null });
    expect(end({ succeeded: 99, canceled: 1 })).toEqual({ move: "cancel", failure: null });
    expect(end({ succeeded: 98, canceled: 1, failed: 1 })).toMatchObject({
      move: "fail",
      failure: { message: "1 of 100 rows failed" },
    });
  });

  it("is no cancel when the request came after the last row", () => {
    expect(end({ succeeded: 100 }, { isCancelRequested: true }).move).toBe("succeed");
    expect(end({ succeeded: 40 }, { isCancelRequested: true, opened: 40 }).move).toBe("cancel");
  });
});

describe("the states of a batch", () => {
  it("never change once it has ended", () => {
    expect(terminalStatuses(batchMoves).sort()).toEqual(["CANCELED", "FAILED", "SUCCEEDED"]);
    expect(nextStatus(batchMoves, "resume", "CANCELED")).toBeNull();
  });
});
