import { expect, it } from "@jest/globals";
import { chaos } from "./chaos/harness.ts";

it("keeps a fleet's promises while everything happens to it (G6, G21, G22, G23, G24, F25, F27, F41, F43, F51)", async () => {
  const report = await chaos({ ms: 60_000, jobs: 80, seed: 20_261_121 });
  expect(report.violations).toEqual([]);
  expect(report.statuses).toHaveLength(7);
}, 600_000);
