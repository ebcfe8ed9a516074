import { describe, expect, it } from "@jest/globals";
import { isAllowed } from "./allow-list.js";
import { type InstanceFacts, isPaused, pausedUntil, type RunnerFacts, resumedAt, runnerStatus } from "./runner.js";
import { HOUR } from "./time.js";

const AUTO = 12 * HOUR;
const at = (hours: number) => new Date(Date.UTC(2026, 10, 21) + hours * HOUR);
const instance = (facts: Partial<InstanceFacts> = {}): InstanceFacts => ({
  helloAt: at(0),
  silentAt: null,
  stoppingAt: null,
  stoppedAt: null,
  ...facts,
});
const status = (facts: Partial<RunnerFacts>, now = at(1)) =>
  runnerStatus({ pause: null, inFlight: 0, openTransactions: 0, instances: [instance()], ...facts }, AUTO, now);

describe("A runner's status", () => {
  it.each([
    ["PENDING before its first hello", { instances: [] }],
    ["RUNNING while an instance can be talked to", { instances: [instance({ silentAt: at(0) }), instance()] }],
    ["UNKNOWN once all have fallen silent", { instances: [instance({ silentAt: at(0) })] }],
    [
      "UNKNOWN where one of those that are gone said no goodbye",
      { instances: [instance({ stoppedAt: at(0) }), instance({ silentAt: at(0) })] },
    ],
    ["STOPPING while all that are left finish their work", { instances: [instance({ stoppingAt: at(0) })] }],
    ["RUNNING while one of two stops", { instances: [instance({ stoppingAt: at(0) }), instance()] }],
    ["STOPPED after their goodbye", { instances: [instance({ stoppingAt: at(0), stoppedAt: at(0) })] }],
  ])("is %s", (sentence, facts) => {
    expect(status(facts)).toBe(sentence.split(" ")[0]);
  });

  it("is PAUSING while a task or a transaction goes on, and PAUSED after that (G21)", () => {
    const pause = { requestedAt: at(0), quietAt: null, resumedAt: null };
    expect(status({ pause, inFlight: 1 })).toBe("PAUSING");
    expect(status({ pause, openTransactions: 1 })).toBe("PAUSING");
    expect(status({ pause })).toBe("PAUSED");
  });

  it("stays PAUSED whatever becomes of the instances, and then tells what became of them (G21)", () => {
    const pause = { requestedAt: at(0), quietAt: at(0), resumedAt: null };
    const gone = [
      [[instance({ stoppedAt: at(1) })], "STOPPED"],
      [[instance({ silentAt: at(1) })], "UNKNOWN"],
      [[instance()], "RUNNING"],
    ] as const;
    for (const [instances, after] of gone) {
      expect(status({ pause, instances })).toBe("PAUSED");
      expect(status({ pause: { ...pause, resumedAt: at(1) }, instances })).toBe(after);
      expect(status({ pause, instances }, at(12))).toBe(after);
    }
  });
});

describe("A pause", () => {
  it("ends by itself 12 hours after all was quiet, and not before (G21)", () => {
    const pause = { requestedAt: at(0), quietAt: at(2), resumedAt: null };
    expect(pausedUntil(pause, AUTO)).toEqual(at(14));
    expect(isPaused(pause, AUTO, at(13.99))).toBe(true);
    expect(isPaused(pause, AUTO, at(14))).toBe(false);
    expect(resumedAt(pause, AUTO, at(20))).toEqual(at(14));
  });

  it("has no end while work goes on", () => {
    const pause = { requestedAt: at(0), quietAt: null, resumedAt: null };
    expect(pausedUntil(pause, AUTO)).toBeNull();
    expect(isPaused(pause, AUTO, at(1_000))).toBe(true);
  });

  it("that was over already is not ended a second time", () => {
    const pause = { requestedAt: at(0), quietAt: at(0), resumedAt: at(13) };
    expect(resumedAt(pause, AUTO, at(20))).toEqual(at(12));
  });
});

describe("An allow list", () => {
  const list = { projects: { prj_a: { environments: ["dev", "prod"] }, prj_b: {} } };
  const allowed = (projectId: string, environment: string, restricted = true) =>
    isAllowed(restricted, list, { projectId, environment });

  it("names environments, or all of a project (G23)", () => {
    expect(allowed("prj_a", "dev")).toBe(true);
    expect(allowed("prj_a", "test")).toBe(false);
    expect(allowed("prj_b", "test")).toBe(true);
    expect(allowed("prj_c", "dev")).toBe(false);
    expect(allowed("__proto__", "dev")).toBe(false);
  });

  it("that is empty allows nobody, and one that is not enforced everybody", () => {
    expect(isAllowed(true, { projects: {} }, { projectId: "prj_a", environment: "dev" })).toBe(false);
    expect(allowed("prj_c", "dev", false)).toBe(true);
  });
});
