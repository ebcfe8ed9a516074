import { parseArgs } from "node:util";
import { crash } from "./harness.ts";

// `pnpm crash --kills N --seed S`: kills parts of a running Maia and says which promises held.
const { values } = parseArgs({
  options: { kills: { type: "string", default: "200" }, seed: { type: "string", default: "1" } },
});
const started = performance.now();
const report = await crash({
  kills: Number(values.kills),
  seed: Number(values.seed),
  say: (line) => console.log(line),
});
console.log(JSON.stringify({ ...report, seconds: Math.round((performance.now() - started) / 1000) }, null, 2));
process.exit(report.violations.length === 0 ? 0 : 1);
