import { parseArgs } from "node:util";
import { chaos } from "./harness.ts";

// `pnpm chaos --minutes N --jobs J --seed S`: torments a fleet of runners and says which promises held.
const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    jobs: { type: "string", default: "500" },
    seed: { type: "string", default: "1" },
  },
});
const report = await chaos({
  ms: Number(values.minutes) * 60_000,
  jobs: Number(values.jobs),
  seed: Number(values.seed),
  say: (line) => console.log(line),
});
console.log(JSON.stringify(report, null, 2));
process.exit(report.violations.length === 0 ? 0 : 1);
