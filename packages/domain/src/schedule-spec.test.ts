import { describe, expect, it } from "@jest/globals";
import { isMaiaError } from "./errors.js";
import { Reader } from "./reader.js";
import { cronProblem, readScheduleRules, scheduleRuleFields, timezoneProblem } from "./schedule-spec.js";

const NOW = new Date("2026-11-21T12:00:00.000Z");

const read = (value: object) => Reader.read(value, (root) => readScheduleRules(root.object(scheduleRuleFields), NOW));

function pointers(value: object): string[] {
  try {
    read(value);
  } catch (error) {
    if (isMaiaError(error)) return error.issues.map(({ pointer }) => pointer);
    throw error;
  }
  return [];
}

describe("the rules of a schedule", () => {
  it("have defaults for everything but the kind and what belongs to it", () => {
    expect(read({ kind: "cron", cron: " 0  2 * * MON-FRI " })).toEqual({
      kind: "cron",
      cron: "0 2 * * MON-FRI",
      intervalMs: null,
      timezone: "UTC",
      misfire: "fire_once",
      catchUpLimit: 100,
      overlap: "skip",
      enabled: true,
    });
    expect(read({ kind: "interval", intervalMs: 1_000 })).toMatchObject({ cron: null, intervalMs: 1_000 });
  });

  it("are refused by the field that is wrong", () => {
    expect(pointers({ kind: "cron" })).toEqual(["/cron"]);
    expect(pointers({ kind: "interval" })).toEqual(["/intervalMs"]);
    expect(pointers({ kind: "cron", cron: "* * * * *", intervalMs: 5_000 })).toEqual(["/intervalMs"]);
    expect(pointers({ kind: "interval", intervalMs: 999 })).toEqual(["/intervalMs"]);
    expect(pointers({ kind: "interval", intervalMs: 1e15 })).toEqual(["/intervalMs"]);
    const odd = { misfire: "twice", catchUpLimit: 0, overlap: true, enabled: "yes", timezone: "Mars/X" };
    expect(pointers({ kind: "cron", cron: "* * * * *", ...odd }).sort()).toEqual(
      Object.keys(odd)
        .map((name) => `/${name}`)
        .sort(),
    );
    expect(pointers({ kind: "cron", cron: "* * * * *", catchUpLimit: 101 })).toEqual(["/catchUpLimit"]);
  });
});

describe("a cron pattern (B065)", () => {
  it.each([
    "* * * * *", "*/5 0-6,18-23 * * *", "0 2 29 2 *", "0 9 1,15 * 5", "0 0 * JAN-MAR SUN", "0 0 L * *", "0 9 * * MON#1",
    "0 0 15W * *", "0 0 * * 7",
  ])("may be %j", (pattern) => expect(cronProblem(pattern, "Europe/Berlin", NOW)).toBeNull()); // biome-ignore format: a list

  it.each([
    "", "   ", "* * * *", "* * * * * *", "* * * * * * *", "@daily", "@every 1ns", "60 * * * *", "* 24 * * *", "* * 0 * *",
    "* * * 13 *", "* * * * 8", "*/0 * * * *", "5-1 * * * *", "? * * * *", "a b c d e", "1e3 * * * *", "-1 * * * *",
    "* * * * *\u0000", "* * * * *\n0", "0 0 30 2", "0 0 1 1 * 275760", "\uff10 * * * *", "0".repeat(10_240), "*,".repeat(5_000),
    `${"*/1,".repeat(80)}1 * * * *`, "0 0 * * MON#6", "0 0 32W * *",
  ])("may not be %j", (pattern) => expect(cronProblem(pattern, "UTC", NOW)).toEqual(expect.any(String))); // biome-ignore format: a list

  it.each([
    ["61 * * * *", 'has "61" as its minute (field 1 of five), which takes 0 to 59'],
    ["0 25 * * *", 'has "25" as its hour (field 2 of five), which takes 0 to 23'],
    ["0 0 32 * *", 'has "32" as its day of the month (field 3 of five), which takes 1 to 31'],
    ["0 0 1 FOO *", 'has "FOO" as its month (field 4 of five), which takes 1 to 12, or JAN to DEC'],
    ["0 0 * * 9", 'has "9" as its day of the week (field 5 of five), which takes 0 to 7, or SUN to SAT'],
    ["0 0 ? * *", 'has "?" as its day of the month (field 3 of five)'],
    ["0 0 * *", "must have five fields: minute, hour, day of the month, month, day of the week; there are 4"],
  ])("is told which of its fields is wrong, and what that takes: %j", (pattern, problem) => {
    expect(cronProblem(pattern, "UTC", NOW)).toContain(problem);
  });

  it.each(["0 0 31 2 *", "0 0 30 2 *", "0 0 31 4,6,9,11 *"])("is told when it never fires: %j", (pattern) => {
    expect(cronProblem(pattern, "UTC", NOW)).toContain("never fires");
  });
});

describe("a time zone (B065)", () => {
  it.each(["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "Asia/Kathmandu"])(
    "may be %s",
    (zone) => expect(timezoneProblem(zone)).toBeNull(),
  );

  it.each(["", "Mars/X", "+01:00", "Europe/Berlin ", "../etc/localtime", "x".repeat(1_000), "UTC\u0000"])(
    "may not be %j",
    (zone) => expect(timezoneProblem(zone)).toContain("IANA"),
  );
});
