import { describe, expect, it } from "@jest/globals";
import { nextPoolSize, wantedRunners } from "./hosted-pool.js";

const limits = { min: 1, max: 4, idleMs: 1_000 };

describe("the size of the hosted pool", () => {
  it.each([
    ["nothing to do", 0, 0, 1],
    ["as much as one takes", 1, 1, 1],
    ["one task more than one takes", 2, 1, 2],
    ["far more than all take", 3, 90, 4],
  ])("follows the work, between its limits: %s", (_name, inFlight, queued, wanted) => {
    expect(wantedRunners({ inFlight, queued, slots: 2 }, limits)).toBe(wanted);
  });

  it.each([
    ["grows at once", 1, 4, 0, 4],
    ["stays where it is enough", 2, 2, 9_000, 2],
    ["stays while fewer have not been enough for long", 3, 1, 999, 3],
    ["shrinks one by one", 3, 1, 1_000, 2],
    ["shrinks where the limit is lower now", 6, 4, 0, 5],
  ])("%s", (_name, size, wanted, enoughMs, next) => {
    expect(nextPoolSize(size, wanted, enoughMs, limits)).toBe(next);
  });
});
