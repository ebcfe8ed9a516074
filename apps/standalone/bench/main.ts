import { parseArgs } from "node:util";
import { Deployment } from "../test/support/deployments.ts";
import { chainFloor, jobsFloor, linesFloor } from "./floors.ts";
import { describeMachine, type Measured, median, percentile, print } from "./report.ts";
import { chain, finishedPerSecond, logLines, oneStep, runChain, talker } from "./scenarios.ts";

// `pnpm bench [--quick]`: what Maia adds, beside floors that the same run measures on the same machine.
const { values } = parseArgs({ options: { quick: { type: "boolean", default: false } } });
const repeats = values.quick ? 3 : 7;
const jobs = values.quick ? 500 : 2_000;
const lines = values.quick ? 200_000 : 1_000_000;

await using maia = await Deployment.start("local", { MAIA_LOG_LEVEL: "warn", MAIA_LOG_ATTEMPT_MAX: String(1024 ** 3) });
const { client } = maia;
const figures: Measured[] = [];

for (const kind of ["node", "node, reuse: true", "shell"] as const) {
  const workflow = chain(kind, 40);
  await client.apply(workflow);
  await runChain(client, workflow.name); // warms pools and caches
  const runs = [];
  for (let i = 0; i < repeats; i++) runs.push(await runChain(client, workflow.name));
  const floor = kind === "node, reuse: true" ? null : await chainFloor(kind, 40, Math.min(repeats, 3));
  figures.push({
    what: `40 sequential steps, ${kind}`,
    value: median(runs.map((run) => run.totalMs)),
    unit: "ms",
    floor,
    floorIs: "bare spawn loop, one durable commit per state change",
  });
  if (kind === "shell") continue;
  figures.push({
    what: `submit → first process, ${kind}, p50`,
    value: median(runs.map((run) => run.firstMs)),
    unit: "ms",
    floor: null,
  });
  const gaps = runs.flatMap((run) => run.gapsMs);
  figures.push({
    what: `end of a step → start of the next, ${kind}, p50`,
    value: median(gaps),
    unit: "ms",
    floor: null,
  });
  figures.push({
    what: `end of a step → start of the next, ${kind}, p95`,
    value: percentile(gaps, 95),
    unit: "ms",
    floor: null,
  });
}

for (const reuse of [false, true]) {
  const workflow = oneStep(reuse);
  await client.apply(workflow);
  const count = reuse ? jobs : Math.min(jobs, 500);
  const value = await finishedPerSecond(client, workflow.name, count);
  const floor = reuse ? null : await jobsFloor(Math.min(count, 200));
  figures.push({
    what: `${count} one-step jobs, ${reuse ? "reuse: true" : "fresh node"}`,
    value,
    unit: "jobs/s",
    floor,
    floorIs: "bare spawns, two at a time, one durable commit per state change",
    more: true,
  });
}

await client.apply(talker);
const floor = await linesFloor(lines);
figures.push({
  what: `${lines.toLocaleString("en")} log lines until the API has them`,
  value: await logLines(client, lines),
  unit: "lines/s",
  floor,
  floorIs: "child printed them, parent split and counted",
  more: true,
});

print(await describeMachine(client), figures);
