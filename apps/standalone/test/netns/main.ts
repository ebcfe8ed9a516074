import { netns } from "./harness.ts";
import { whyNot } from "./namespace.ts";

// `pnpm chaos:netns`, as root: a runner in a network of its own, out of which only the API's address and port lead. It
// does its work, and nobody can connect to it. Exit code 2: it cannot be tried here, and the output says why.
const reason = await whyNot();
if (reason !== null) {
  console.error(`this cannot be tried here: ${reason}`);
  process.exit(2);
}
const report = await netns((line) => console.log(line));
console.log(JSON.stringify(report, null, 2));
process.exit(report.violations.length === 0 ? 0 : 1);
