import { availableParallelism } from "node:os";
import { describe, expect, it, jest } from "@jest/globals";
import type { Client, Run } from "../support/client.ts";
import { Deployment } from "../support/deployments.ts";
import { freeze } from "../support/freeze.ts";
import { aMarkedStep } from "../support/marked-steps.ts";
import { eventually } from "../support/processes.ts";
import { Sink } from "../support/sink.ts";

jest.setTimeout(180_000); // several processes, on a machine that may be busy

const LEASE_MS = 2_000;
const SHORT = { MAIA_LEASE_TTL_MS: String(LEASE_MS), MAIA_LEASE_RENEW_MS: "300" };

const attemptsOf = (run: Run) => run.steps.flatMap(({ attempts }) => attempts.map(({ status }) => status));
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** The owner's number that each event of a run names, in the order of the events. */
async function epochs(client: Client, run: Run): Promise<number[]> {
  const events = await client.events(run.id);
  return events.flatMap(({ data }) => (typeof data.epoch === "number" ? [data.epoch] : []));
}

/** Two engines, a runner, and a job of one of them whose first step has begun. */
async function twoEngines(sink: Sink, workMs: number) {
  const maia = await Deployment.start("separate", SHORT, 1);
  const steps = [aMarkedStep("a", [], workMs), aMarkedStep("b", ["a"], 100)];
  await maia.client.apply({ name: "slow", env: { SINK: sink.url }, steps });
  const { id } = await maia.client.submit("slow");
  await eventually("the first step has begun", async () => sink.entries.length === 1);
  maia.spawn("engine-2");
  await eventually("the second engine works", async () => maia.part("engine-2").log.includes("the runner is there"));
  return { maia, id };
}

describe("an engine that stands still while its runner works and another engine looks on", () => {
  it("for longer than its lease loses its run, and neither starts a step again nor changes anything when it wakes (F18, G6, G7)", async () => {
    await using sink = await Sink.open();
    const { maia, id } = await twoEngines(sink, 1_000);
    await using _ = maia;
    await freeze(maia, "engine");
    const run = await maia.client.finished(id);
    const before = await maia.client.events(run.id);
    maia.part("engine").signal("SIGCONT");
    await eventually("it notices", async () => maia.part("engine").log.includes("the lease was lost"));
    expect([run.status, attemptsOf(run)]).toEqual(["SUCCEEDED", ["SUCCEEDED", "SUCCEEDED"]]);
    expect(sink.entries).toEqual([`${run.id},a,1`, `${run.id},b,1`]);
    expect(await maia.client.events(run.id)).toEqual(before);
    const seen = await epochs(maia.client, run);
    expect([Math.max(...seen), seen]).toEqual([2, seen.toSorted((a, b) => a - b)]);
  });

  it("for less than its lease keeps its run (F19)", async () => {
    await using sink = await Sink.open();
    const { maia, id } = await twoEngines(sink, 2_500);
    await using _ = maia;
    for (let round = 0; round < 2; round++) {
      await freeze(maia, "engine");
      await wait(LEASE_MS / 2);
      maia.part("engine").signal("SIGCONT");
      await wait(300);
    }
    const run = await maia.client.finished(id);
    expect([run.status, sink.entries]).toEqual(["SUCCEEDED", [`${run.id},a,1`, `${run.id},b,1`]]);
    expect(new Set(await epochs(maia.client, run))).toEqual(new Set([1]));
    expect(maia.part("engine-2").log).not.toContain("adopted runs");
  });
});

it("engines that are replaced one after the other under load, both alive for a while, start no step twice and lose none (F23, G28)", async () => {
  await using sink = await Sink.open();
  await using maia = await Deployment.start("separate", SHORT, 1);
  const steps = [aMarkedStep("a", [], 50), aMarkedStep("b", ["a"], 50)];
  await maia.client.apply({ name: "pair", env: { SINK: sink.url }, steps });
  const jobs: string[] = [];
  const submit = async (count: number) => {
    for (let i = 0; i < count; i++) jobs.push((await maia.client.submit("pair")).id);
  };
  await submit(10);
  for (const [older, younger] of [
    ["engine", "engine-2"],
    ["engine-2", "engine-3"],
  ] as const) {
    maia.spawn(younger);
    await submit(10);
    await eventually("the younger works", async () => maia.part(younger).log.includes("the runner is there"));
    await submit(5);
    expect(await maia.part(older).stop()).toBe(0);
  }
  for (const id of jobs) {
    const run = await maia.client.finished(id);
    expect([run.status, attemptsOf(run)]).toEqual(["SUCCEEDED", ["SUCCEEDED", "SUCCEEDED"]]);
  }
  expect([sink.entries.length, sink.doubles()]).toEqual([jobs.length * 2, []]);
});

it("steps that take all the processor's time cost no engine its lease and no runner its attempts (F29)", async () => {
  await using maia = await Deployment.start("separate", SHORT, 2);
  const hogs = availableParallelism() * 2;
  const script = `export default () => { const end = Date.now() + ${2 * LEASE_MS}; while (Date.now() < end); return {}; };`;
  await maia.client.apply({
    name: "hogs",
    steps: Array.from({ length: hogs }, (_, i) => ({ key: `hog-${i}`, script })),
  });
  const run = await maia.client.finished((await maia.client.submit("hogs")).id);
  expect([run.status, attemptsOf(run)]).toEqual(["SUCCEEDED", Array(hogs).fill("SUCCEEDED")]);
  expect(new Set(await epochs(maia.client, run))).toEqual(new Set([1]));
  for (const engine of ["engine", "engine-2"]) expect(maia.part(engine).log).not.toMatch(/lease was lost|adopted runs/);
});
