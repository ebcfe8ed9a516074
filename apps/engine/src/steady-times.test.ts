import { describe, expect, it } from "@jest/globals";
import { SteadyTimes } from "./steady-times.js";

const at = (ms: number) => new Date(1_000_000 + ms);

describe("steady times", () => {
  it("come when they should, wherever the wall clock goes once they are known (G27)", () => {
    let steady = 0;
    const times = new SteadyTimes(() => steady);
    expect(times.waitMs("run", "retry", at(500), at(0))).toBe(500);
    steady = 200;
    expect(times.waitMs("run", "retry", at(500), at(3_600_000))).toBe(300);
    expect(times.waitMs("run", "retry", at(500), at(-3_600_000))).toBe(300);
    steady = 500;
    expect(times.waitMs("run", "retry", at(500), at(-3_600_000))).toBe(0);
    expect(times.waitMs("run", "retry", at(900), at(600))).toBe(300); // another time under the same name
  });

  it("are known by the wall clock again once they were forgotten", () => {
    const times = new SteadyTimes(() => 0);
    times.waitMs("a", "x", at(100), at(0));
    times.waitMs("b", "x", at(100), at(0));
    times.keepOnly(new Set(["b"]));
    expect([times.waitMs("a", "x", at(100), at(90)), times.waitMs("b", "x", at(100), at(90))]).toEqual([10, 100]);
    times.forget("b");
    expect(times.waitMs("b", "x", at(100), at(95))).toBe(5);
  });

  it("must be times", () => {
    expect(() => new SteadyTimes(() => 0).waitMs("a", "x", new Date("soon"), at(0))).toThrow(/none/);
  });
});
