import { expect, it } from "@jest/globals";
import { crash } from "./crash/harness.ts";

it("keeps its promises while random parts are killed at random moments (G1, G2, G3, G4, G6, G11, G14, G17, G18, G20)", async () => {
  const report = await crash({ kills: 12, seed: 20_261_121, shapes: ["separate", "engines"] });
  expect(report.violations).toEqual([]);
  expect(report.kills).toBe(12);
}, 600_000);
