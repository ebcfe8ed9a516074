import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { CATCH_UP_MAX, planMissed, planTicks, type ScheduleFacts, TICKS_MAX, upcomingInstants } from "./schedule.js";
import { DAY, HOUR, MINUTE, SECOND } from "./time.js";

const START = new Date("2026-03-01T00:00:00.000Z");

function schedule(more: Partial<ScheduleFacts> = {}): ScheduleFacts {
  const base = { kind: "cron", cron: "0 * * * *", intervalMs: null, timezone: "UTC", anchorAt: START } as const;
  return { ...base, misfire: "fire_once", catchUpLimit: CATCH_UP_MAX, nextRunAt: START, ...more };
}

const every = (intervalMs: number, more: Partial<ScheduleFacts> = {}) =>
  schedule({ kind: "interval", cron: null, intervalMs, nextRunAt: new Date(START.getTime() + intervalMs), ...more });

const inMs = (ms: number) => new Date(START.getTime() + ms);

/** The outcomes of what is due at a moment, with the hour of each. */
function outcomes(facts: ScheduleFacts, now: Date): string[] {
  return planTicks(facts, now).ticks.map(({ dueAt, outcome }) => `${dueAt.toISOString().slice(11, 16)} ${outcome}`);
}

describe("the plan of a schedule", () => {
  it("is nothing before the instant has come, and nothing at all while the schedule is disabled", () => {
    expect(planTicks(schedule(), inMs(-1))).toEqual({ ticks: [], nextRunAt: START });
    expect(planTicks(schedule({ nextRunAt: null }), inMs(DAY))).toEqual({ ticks: [], nextRunAt: null });
  });

  it.each(["skip", "fire_once", "catch_up"] as const)("fires a single instant that is due now (%s)", (misfire) => {
    const { ticks, nextRunAt } = planTicks(schedule({ misfire }), inMs(3));
    expect(ticks).toEqual([{ dueAt: START, lastDueAt: START, count: 1, outcome: "fire" }]);
    expect(nextRunAt).toEqual(inMs(HOUR));
  });

  it("runs nothing late with skip, once with fire_once, and as often as the limit says with catch_up", () => {
    const late = inMs(3 * HOUR + 2 * MINUTE);
    expect(outcomes(schedule({ misfire: "skip" }), late)).toEqual([
      "00:00 missed",
      "01:00 missed",
      "02:00 missed",
      "03:00 missed",
    ]);
    expect(outcomes(schedule({ misfire: "fire_once" }), late)).toEqual([
      "00:00 missed",
      "01:00 missed",
      "02:00 missed",
      "03:00 fire",
    ]);
    expect(outcomes(schedule({ misfire: "catch_up", catchUpLimit: 2 }), late)).toEqual([
      "00:00 missed",
      "01:00 missed",
      "02:00 fire",
      "03:00 fire",
    ]);
    expect(outcomes(schedule({ misfire: "catch_up" }), late)).toHaveLength(4);
    expect(outcomes(schedule({ misfire: "catch_up" }), late).join()).not.toContain("missed");
  });

  it("with skip still runs the newest instant while that is not late", () => {
    expect(outcomes(schedule({ misfire: "skip" }), inMs(HOUR + MINUTE))).toEqual(["00:00 missed", "01:00 fire"]);
    expect(outcomes(schedule({ misfire: "skip" }), inMs(HOUR + MINUTE + 1))).toEqual(["00:00 missed", "01:00 missed"]);
  });

  it("counts a gap of a year between seconds without walking through it", () => {
    const year = 365 * DAY;
    const facts = every(SECOND);
    const first = planTicks(facts, inMs(year));
    expect(first.ticks).toHaveLength(1);
    const rest = planTicks({ ...facts, nextRunAt: first.nextRunAt }, inMs(year));
    const counted = [...first.ticks, ...rest.ticks].reduce((sum, { count }) => sum + count, 0);
    expect(counted).toBe(year / SECOND);
    expect(rest.ticks.map(({ outcome }) => outcome).filter((outcome) => outcome === "fire")).toHaveLength(1);
    expect(rest.nextRunAt).toEqual(inMs(year + SECOND));
  });

  it("takes a long gap of cron in pieces, each of them short", () => {
    let facts = schedule({ cron: "* * * * *", misfire: "catch_up", catchUpLimit: 100 });
    const now = inMs(3 * DAY);
    let [counted, fired] = [0, 0];
    for (let pieces = 0; facts.nextRunAt! <= now; pieces++) {
      expect(pieces).toBeLessThan(10);
      const { ticks, nextRunAt } = planTicks(facts, now);
      expect(ticks.length).toBeLessThanOrEqual(TICKS_MAX);
      counted += ticks.reduce((sum, { count }) => sum + count, 0);
      fired += ticks.filter(({ outcome }) => outcome === "fire").length;
      facts = { ...facts, nextRunAt };
    }
    expect([counted, fired]).toEqual([(3 * DAY) / MINUTE + 1, 100]);
  });

  it("misses what was due when somebody changes the schedule", () => {
    const { ticks, nextRunAt } = planMissed(schedule({ misfire: "catch_up" }), inMs(2 * HOUR + 1));
    expect(ticks.map(({ outcome }) => outcome)).toEqual(["missed", "missed", "missed"]);
    expect(nextRunAt).toEqual(inMs(3 * HOUR));
  });

  it("shows the instants that it will act on, beginning with the one that it waits for", () => {
    expect(upcomingInstants(schedule(), 3)).toEqual([START, inMs(HOUR), inMs(2 * HOUR)]);
    expect(upcomingInstants(every(90 * SECOND), 2)).toEqual([inMs(90 * SECOND), inMs(180 * SECOND)]);
    expect(upcomingInstants(schedule({ nextRunAt: null }), 3)).toEqual([]);
    expect(upcomingInstants(schedule(), 1)).toEqual([START]);
  });
});

describe("daylight saving time (F66)", () => {
  const london = (cron: string, from: string, count: number) => {
    const facts = schedule({ cron, timezone: "Europe/London", nextRunAt: new Date(from) });
    return upcomingInstants(facts, count + 1)
      .slice(1)
      .map((at) => at.toISOString().slice(5, 16));
  };

  it("runs a time of day that the clock skips when the gap ends, once", () => {
    expect(london("30 1 * * *", "2026-03-28T01:30:00Z", 2)).toEqual(["03-29T01:00", "03-30T00:30"]);
    expect(london("0,30 1 * * *", "2026-03-28T01:30:00Z", 3)).toEqual(["03-29T01:00", "03-30T00:00", "03-30T00:30"]);
  });

  it("runs a time of day that the clock shows twice the first time, once", () => {
    expect(london("30 1 * * *", "2026-10-24T00:30:00Z", 2)).toEqual(["10-25T00:30", "10-26T01:30"]);
    expect(london("0,30 1 * * *", "2026-10-24T00:30:00Z", 3)).toEqual(["10-25T00:00", "10-25T00:30", "10-26T01:00"]);
  });

  it("follows elapsed time where minute or hour is a star or a step", () => {
    expect(london("*/30 * * * *", "2026-03-29T00:30:00Z", 2)).toEqual(["03-29T01:00", "03-29T01:30"]);
    expect(london("0 * * * *", "2026-10-24T23:00:00Z", 3)).toEqual(["10-25T00:00", "10-25T01:00", "10-25T02:00"]);
  });

  it("does not touch intervals", () => {
    const facts = every(DAY, { timezone: "Europe/London", anchorAt: new Date("2026-03-27T12:00:00Z") });
    const due = upcomingInstants({ ...facts, nextRunAt: new Date("2026-03-28T12:00:00Z") }, 3);
    expect(due.map((at) => at.toISOString().slice(5, 16))).toEqual(["03-28T12:00", "03-29T12:00", "03-30T12:00"]);
  });
});

const anyInstantsMisfire = fc.constantFrom("skip" as const, "fire_once" as const, "catch_up" as const);

describe("a grid", () => {
  it("accounts for each instant once, whenever and however often somebody looks (G27)", () => {
    const looks = fc.array(fc.integer({ min: -HOUR, max: 3 * HOUR }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(
        fc.integer({ min: MINUTE, max: 2 * HOUR }),
        anyInstantsMisfire,
        fc.integer({ min: 1, max: CATCH_UP_MAX }),
        looks,
        (intervalMs, misfire, catchUpLimit, steps) => {
          let facts = every(intervalMs, { misfire, catchUpLimit });
          let [now, latest, counted, expected] = [START.getTime(), START.getTime(), 0, facts.nextRunAt!.getTime()];
          for (const step of steps) {
            now += step; // the clock goes back now and then
            latest = Math.max(latest, now);
            while (facts.nextRunAt!.getTime() <= now) {
              const { ticks, nextRunAt } = planTicks(facts, new Date(now));
              for (const { dueAt, lastDueAt, count } of ticks) {
                expect(dueAt.getTime()).toBe(expected);
                expect(lastDueAt.getTime()).toBe(expected + (count - 1) * intervalMs);
                expected = lastDueAt.getTime() + intervalMs;
                counted += count;
              }
              expect(nextRunAt!.getTime()).toBe(expected);
              facts = { ...facts, nextRunAt };
            }
          }
          expect(counted).toBe(Math.floor((latest - START.getTime()) / intervalMs));
        },
      ),
      { numRuns: 60 },
    );
  });
});
