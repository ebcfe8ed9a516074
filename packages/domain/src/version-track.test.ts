import { describe, expect, it } from "@jest/globals";
import { runnerState } from "./runner-state.js";
import { compareVersions, type Release, versionProblem, versionState } from "./version-track.js";

const NOW = new Date("2026-11-21T12:00:00.000Z");
const release = (version: string, part: Partial<Release> = {}): Release => ({
  version,
  track: "current",
  releasedAt: new Date("2026-11-01T00:00:00.000Z"),
  supportedUntil: null,
  securityFix: false,
  ...part,
});

describe("versions", () => {
  it("follow each other as Semantic Versioning says", () => {
    const inOrder = ["nonsense", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta.2", "1.0.0-beta.11"];
    const all = [...inOrder, "1.0.0-rc.1", "1.0.0", "1.2.0", "1.10.0", "2.0.0"];
    const sorted = [...all].reverse().sort(compareVersions);
    expect(sorted).toEqual(all);
    expect(compareVersions("1.0.0+a", "1.0.0+b")).toBe(0);
  });

  it("are told from what is none", () => {
    expect(versionProblem("1.4.0-rc.1")).toBeNull();
    for (const text of ["", "1.4", "v1.4.0", "1.4.0 ", "01234567890.0.0"]) expect(versionProblem(text)).not.toBeNull();
  });
});

describe("a runner's version", () => {
  const releases = [
    release("1.9.0"),
    release("1.10.0", { releasedAt: new Date("2026-11-19T00:00:00.000Z") }),
    release("1.11.0", { releasedAt: new Date("2026-12-01T00:00:00.000Z") }),
    release("1.8.0", { track: "stable", supportedUntil: new Date("2026-11-20T00:00:00.000Z") }),
    release("1.9.0", { track: "stable" }),
  ];

  it("is held against the newest of its track that is out already (F32, F33, F34, F35)", () => {
    expect(versionState("1.9.0", "current", releases, NOW)).toEqual({
      reported: "1.9.0",
      latest: "1.10.0",
      releasedAt: releases[1]!.releasedAt,
      updateAvailable: true,
      support: "SUPPORTED",
    });
    expect(versionState("1.9.0", "stable", releases, NOW)).toMatchObject({ latest: "1.9.0", updateAvailable: false });
    expect(versionState("1.10.0", "stable", releases, NOW)).toMatchObject({ latest: "1.9.0", updateAvailable: false });
  });

  it("is out of support once its time is over, and unknown where nobody has released it", () => {
    expect(versionState("1.8.0", "stable", releases, NOW).support).toBe("OUT_OF_SUPPORT");
    expect(versionState("0.1.0", "stable", releases, NOW).support).toBe("UNKNOWN");
    expect(versionState(null, "stable", [], NOW)).toEqual({
      reported: null,
      latest: null,
      releasedAt: null,
      updateAvailable: false,
      support: null,
    });
  });

  it("is the oldest of those that are connected, and else the last one (F18)", () => {
    const facts = { pause: null, inFlight: 0, openTransactions: 0, instances: [] };
    const reported = (...versions: [string, boolean][]) => {
      const seen = versions.map(([version, connected]) => ({ version, connected }));
      return runnerState({ track: "current", facts, versions: seen, queued: 0 }, [], 1, NOW).version.reported;
    };
    expect(reported(["1.2.0", false], ["1.4.0", true], ["1.3.0", true])).toBe("1.3.0");
    expect(reported(["1.2.0", false], ["1.1.0", false])).toBe("1.1.0");
    expect(reported()).toBeNull();
  });
});
