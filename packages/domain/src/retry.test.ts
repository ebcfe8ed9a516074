import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { DEFAULT_RETRY, retryDelayMs } from "./retry.js";

const policies = fc.record({
  maxAttempts: fc.integer({ min: 1, max: 100 }),
  backoffMs: fc.integer({ min: 0, max: 86_400_000 }),
  multiplier: fc.double({ min: 1, max: 100, noNaN: true }),
  maxBackoffMs: fc.integer({ min: 0, max: 604_800_000 }),
  jitter: fc.double({ min: 0, max: 1, noNaN: true }),
});

describe("retryDelayMs", () => {
  it("stays within the jitter around the back-off, and never above maxBackoffMs", () => {
    fc.assert(
      fc.property(policies, fc.integer({ min: 1, max: 1_000 }), fc.string(), (policy, failures, seed) => {
        const delay = retryDelayMs(policy, failures, seed);
        const growth = Math.min(policy.multiplier ** (failures - 1), Number.MAX_SAFE_INTEGER);
        const plain = Math.min(policy.maxBackoffMs, policy.backoffMs * growth);
        expect(Number.isSafeInteger(delay)).toBe(true);
        expect(delay).toBeLessThanOrEqual(policy.maxBackoffMs);
        expect(delay).toBeGreaterThanOrEqual(Math.floor(plain * (1 - policy.jitter)));
        expect(delay).toBeLessThanOrEqual(Math.ceil(plain * (1 + policy.jitter)));
      }),
      { numRuns: 2_000 },
    );
  });

  it("waits equally long for the same failure after a restart (G11)", () => {
    expect(retryDelayMs(DEFAULT_RETRY, 3, "run_1/parse")).toBe(retryDelayMs(DEFAULT_RETRY, 3, "run_1/parse"));
  });

  it("spreads the failures of different runs", () => {
    const delays = new Set(Array.from({ length: 50 }, (_, run) => retryDelayMs(DEFAULT_RETRY, 1, `run_${run}/parse`)));
    expect(delays.size).toBeGreaterThan(30);
  });

  it("doubles from a second by default", () => {
    const calm = { ...DEFAULT_RETRY, jitter: 0 };
    expect([1, 2, 3, 9].map((failures) => retryDelayMs(calm, failures, ""))).toEqual([1_000, 2_000, 4_000, 30_000]);
  });
});
