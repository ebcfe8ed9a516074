import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { firstInstant, type Misfire, planTicks, type ScheduleFacts } from "../src/schedule.js";
import { DAY, HOUR, MINUTE } from "../src/time.js";
import { dueInstants, type PlainCron, WallClock } from "./wall-clock.js";

const ZONES = [
  "UTC", "Europe/London", "America/Nuuk", "Europe/Berlin", "Europe/Lisbon", "Europe/Athens", "Europe/Chisinau", "Europe/Istanbul",
  "Atlantic/Azores", "Africa/Cairo", "Africa/Casablanca", "Africa/Lagos", "Africa/Johannesburg", "America/New_York", "America/Chicago",
  "America/Denver", "America/Phoenix", "America/Los_Angeles", "America/Anchorage", "Pacific/Honolulu", "America/Halifax",
  "America/St_Johns", "America/Havana", "America/Santiago", "America/Sao_Paulo", "America/Caracas", "America/Scoresbysund",
  "Asia/Jerusalem", "Asia/Beirut", "Asia/Tehran", "Asia/Kolkata", "Asia/Kathmandu", "Asia/Tokyo", "Asia/Shanghai", "Australia/Sydney",
  "Australia/Adelaide", "Australia/Lord_Howe", "Pacific/Auckland", "Pacific/Chatham", "Pacific/Apia",
]; // biome-ignore format: a list of zones

const NIGHT = [...Array(4).keys()];

/** Ten ways to be due, most of them at night, where clocks change. */
const CRONS: readonly PlainCron[] = [
  { text: "30 2 * * *", minutes: [30], hours: [2], isTimeOfDay: true },
  { text: "0 0 * * *", minutes: [0], hours: [0], isTimeOfDay: true },
  { text: "0,30 1,2 * * *", minutes: [0, 30], hours: [1, 2], isTimeOfDay: true },
  { text: "15 0-3 * * *", minutes: [15], hours: NIGHT, isTimeOfDay: true },
  { text: "59 23 * * *", minutes: [59], hours: [23], isTimeOfDay: true },
  { text: "45 1 * * 0", minutes: [45], hours: [1], weekdays: [0], isTimeOfDay: true },
  { text: "30 2 8,29 * 1", minutes: [30], hours: [2], days: [8, 29], weekdays: [1], isTimeOfDay: true },
  { text: "0 * * * *", minutes: [0], hours: null, isTimeOfDay: false },
  { text: "*/30 0-3 * * *", minutes: [0, 30], hours: NIGHT, isTimeOfDay: false },
  { text: "20 */6 * * *", minutes: [20], hours: [0, 6, 12, 18], isTimeOfDay: false },
];

/** Months in which clocks change somewhere: spring in the north, then autumn. */
const MONTHS = [
  { from: "2026-03-06T12:00:00Z", days: 32 },
  { from: "2026-09-25T12:00:00Z", days: 39 },
];

/** A row of the table of schedules, changed only by who believes rightly where it stands. */
interface Row {
  facts: ScheduleFacts;
  revision: number;
  readonly accounted: number[];
  readonly fired: number[];
}

/** What an engine does next: it looks at a schedule, stores what it planned, or forgets everything in a crash. */
interface Turn {
  readonly engine: 0 | 1;
  readonly what: "look" | "store" | "crash";
  readonly schedule: number;
  readonly passedMs: number;
  /** How far this engine's clock is off. */
  readonly skewMs: number;
}

const turn: fc.Arbitrary<Turn> = fc.record({
  engine: fc.constantFrom(0 as const, 1 as const),
  what: fc.constantFrom("look" as const, "look" as const, "store" as const, "store" as const, "crash" as const),
  schedule: fc.nat({ max: CRONS.length - 1 }),
  passedMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 4 * HOUR }), fc.integer({ min: 0, max: 2 * DAY })),
  skewMs: fc.oneof(fc.constant(0), fc.integer({ min: -HOUR, max: HOUR })),
});

function store(row: Row, seen: { facts: ScheduleFacts; revision: number }, now: Date): void {
  if (row.revision !== seen.revision) return; // somebody was faster
  const { ticks, nextRunAt } = planTicks(seen.facts, now);
  if (ticks.length === 0) return;
  for (const { dueAt, count, outcome } of ticks) {
    expect(count).toBe(1);
    row.accounted.push(dueAt.getTime());
    if (outcome === "fire") row.fired.push(dueAt.getTime());
  }
  row.facts = { ...row.facts, nextRunAt };
  row.revision++;
}

function aRow({ text: cron }: PlainCron, timezone: string, start: Date, misfire: Misfire): Row {
  const timing = { kind: "cron", cron, intervalMs: null, timezone, anchorAt: start } as const;
  const nextRunAt = firstInstant(timing, start);
  return { facts: { ...timing, misfire, catchUpLimit: 5, nextRunAt }, revision: 0, accounted: [], fired: [] };
}

/** Two engines with clocks of their own, a month long. Both come back in the end. */
function liveThrough(turns: readonly Turn[], rows: readonly Row[], start: Date, end: number): number {
  const minds = [new Map<number, { facts: ScheduleFacts; revision: number }>(), new Map()];
  let [now, latest] = [start.getTime(), end];
  for (const { engine, what, schedule, passedMs, skewMs } of turns) {
    now = Math.min(now + passedMs, end);
    const clock = now + skewMs;
    const [mind, row] = [minds[engine]!, rows[schedule]!];
    if (what === "crash") mind.clear();
    if (what === "look") mind.set(schedule, { facts: row.facts, revision: row.revision });
    const seen = what === "store" ? mind.get(schedule) : undefined;
    if (seen) store(row, seen, new Date(clock));
    if (seen) latest = Math.max(latest, clock);
  }
  for (const row of rows) while (row.facts.nextRunAt!.getTime() <= latest) store(row, row, new Date(latest));
  return latest;
}

describe("ten schedules, two engines that come and go, clocks that change", () => {
  it.each(ZONES)("account for each due instant of a month exactly once in %s (F66, G27)", (zone) => {
    const clock = new WallClock(zone);
    const misfire = fc.constantFrom<Misfire>("skip", "fire_once", "catch_up");
    const month = fc.constantFrom(...MONTHS);
    fc.assert(
      fc.property(month, misfire, fc.array(turn, { maxLength: 400, size: "max" }), ({ from, days }, policy, turns) => {
        const start = new Date(from);
        const rows = CRONS.map((cron) => aRow(cron, zone, start, policy));
        const latest = liveThrough(turns, rows, start, start.getTime() + days * DAY);
        for (const [index, { accounted, fired }] of rows.entries()) {
          const due = dueInstants(CRONS[index]!, clock, start.getTime() + MINUTE, latest);
          expect({ cron: CRONS[index]!.text, accounted }).toEqual({ cron: CRONS[index]!.text, accounted: due });
          expect(fired).toEqual([...new Set(fired)]);
        }
      }),
      { numRuns: 1 },
    );
  });
});
