import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { idPrefixes, newId } from "./ids.js";

describe("newId", () => {
  it("puts the prefix of its kind in front", () => {
    const now = new Date();
    expect(newId("job", now)).toMatch(/^job_[0-9a-hjkmnp-tv-z]{26}$/);
    expect(new Set(Object.values(idPrefixes)).size).toBe(Object.values(idPrefixes).length);
  });

  it("gives ids that sort by the time they were made", () => {
    const time = fc.integer({ min: 0, max: 2 ** 50 - 1 });
    fc.assert(
      fc.property(time, time, (a, b) => {
        fc.pre(a < b);
        expect(newId("run", new Date(a)) < newId("run", new Date(b))).toBe(true);
      }),
    );
  });

  it("keeps the order of ids made within one millisecond, and repeats none", () => {
    const now = new Date();
    const ids = Array.from({ length: 10_000 }, () => newId("job", now));
    expect(ids.toSorted()).toEqual(ids);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it("repeats none when two moments alternate", () => {
    const moments = [new Date(1_000), new Date(2_000)];
    const ids = Array.from({ length: 1_000 }, (_, i) => newId("job", moments[i % 2]!));
    expect(new Set(ids).size).toBe(ids.length);
  });
});
