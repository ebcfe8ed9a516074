import { describe, expect, it } from "@jest/globals";
import { type BoundFacts, planHandOver } from "./hand-over.js";

const offered: BoundFacts = {
  isOffered: true,
  isHanded: false,
  isStarted: false,
  isKnown: false,
  isStopped: false,
  isMember: false,
  isAllowed: true,
};
const handed = { ...offered, isHanded: true };
const started = { ...handed, isStarted: true };

describe("What a poll does about an attempt", () => {
  it.each<[string, BoundFacts, string]>([
    ["an offered one is handed over", offered, "hand"],
    ["one that is not offered waits", { ...offered, isOffered: false }, "leave"],
    ["one whose answer was lost is handed over again", handed, "hand"],
    ["one that the instance has is left alone", { ...handed, isKnown: true }, "leave"],
    ["one that ran is handed over again, so that its ledger tells what became of it", started, "hand"],
    ["one that is to end and never left Maia ends here (G16)", { ...offered, isStopped: true }, "endCanceled"],
    ["one that is to end and was handed over is stopped there (G16)", { ...handed, isStopped: true }, "cancel"],
    ["one that is to end is not handed over again (G16)", { ...handed, isStopped: true, isKnown: false }, "cancel"],
    ["one that is not offered is the engine's to end", { ...offered, isOffered: false, isStopped: true }, "leave"],
    ["one that the runner may not have any more is refused (G23)", { ...offered, isAllowed: false }, "refuse"],
    ["one that runs goes on whatever the list says (G23)", { ...started, isAllowed: false }, "hand"],
  ])("%s", (_, facts, expected) => {
    expect(planHandOver(facts, false)).toBe(expected);
  });

  it("holds new tasks while the runner is paused or the instance stops, but for an open transaction's (G21, G22)", () => {
    expect(planHandOver(offered, true)).toBe("leave");
    expect(planHandOver({ ...offered, isMember: true }, true)).toBe("hand");
    expect(planHandOver(started, true)).toBe("hand");
  });

  it("takes back what did not arrive before the pause, so that it is not in flight for ever (G21)", () => {
    expect(planHandOver(handed, true)).toBe("takeBack");
    expect(planHandOver({ ...handed, isKnown: true }, true)).toBe("leave");
  });
});
