import { describe, expect, it } from "@jest/globals";
import { firstShown, offsetMs, wallTime } from "./zone.js";

const at = (text: string) => Date.parse(text);
const shown = (zone: string, text: string) => new Date(firstShown(zone, at(`${text}Z`))).toISOString().slice(0, 16);

describe("a zone's clock", () => {
  it("is read with its distance to UTC, on either side of it and by halves of an hour", () => {
    expect(wallTime("UTC", new Date("2026-01-01T00:00:00Z"))).toBe("2026-01-01T00:00:00+00:00");
    expect(wallTime("Asia/Kathmandu", new Date("2026-01-01T00:00:00Z"))).toBe("2026-01-01T05:45:00+05:45");
    expect(wallTime("America/St_Johns", new Date("2026-01-01T00:00:00Z"))).toBe("2025-12-31T20:30:00-03:30");
    expect(offsetMs("Africa/Monrovia", at("1950-01-01T00:00:00Z"))).toBe(-44.5 * 60_000); // -00:44:30
  });

  it("shows each time of a day once, skipped ones when the gap ends, repeated ones the first time (F66)", () => {
    expect(shown("Europe/Berlin", "2026-03-29T02:30")).toBe("2026-03-29T01:00");
    expect(shown("Europe/Berlin", "2026-10-25T02:30")).toBe("2026-10-25T00:30");
    expect(shown("Australia/Lord_Howe", "2026-10-04T02:15")).toBe("2026-10-03T15:30"); // half an hour
    expect(shown("America/Nuuk", "2026-03-28T23:30")).toBe("2026-03-29T01:00"); // the gap ends at midnight
    expect(shown("Pacific/Apia", "2011-12-30T12:00")).toBe("2011-12-30T10:00"); // a whole day
    expect(shown("Europe/Berlin", "2026-07-01T12:00")).toBe("2026-07-01T10:00");
  });
});
