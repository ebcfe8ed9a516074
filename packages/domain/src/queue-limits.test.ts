import { describe, expect, it } from "@jest/globals";
import { resumeDeadline } from "./queue-limits.js";
import { HOUR, MINUTE } from "./time.js";

const rules = { autoResumeMs: 12 * HOUR, resumeQueueTimeoutMs: 15 * MINUTE };
const at = (minutes: number) => new Date(Date.UTC(2026, 10, 21) + minutes * MINUTE);
const paused = { requestedAt: at(0), quietAt: at(0), resumedAt: null };
const resumed = { ...paused, resumedAt: at(60) };

describe("Work that waited through a pause", () => {
  it("is given up 15 minutes after the resume of a runner that did not come back (G21)", () => {
    expect(resumeDeadline({ queuedAt: at(30), pause: resumed, lastSeenAt: at(20) }, rules, at(61))).toEqual(at(75));
    expect(resumeDeadline({ queuedAt: at(30), pause: resumed, lastSeenAt: null }, rules, at(61))).toEqual(at(75));
  });

  it("is given up 15 minutes after the pause has ended by itself (G21)", () => {
    const after = at(12 * 60 + 1);
    expect(resumeDeadline({ queuedAt: at(30), pause: paused, lastSeenAt: at(0) }, rules, after)).toEqual(
      at(12 * 60 + 15),
    );
  });

  it("waits on while the pause lasts, where it came later, and once the runner has been back", () => {
    expect(resumeDeadline({ queuedAt: at(30), pause: paused, lastSeenAt: null }, rules, at(61))).toBeNull();
    expect(resumeDeadline({ queuedAt: at(61), pause: resumed, lastSeenAt: null }, rules, at(62))).toBeNull();
    expect(resumeDeadline({ queuedAt: at(30), pause: resumed, lastSeenAt: at(60) }, rules, at(99))).toBeNull();
    expect(resumeDeadline({ queuedAt: at(30), pause: null, lastSeenAt: null }, rules, at(99))).toBeNull();
  });
});
