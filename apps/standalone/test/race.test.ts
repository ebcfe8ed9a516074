import { expect, it } from "@jest/globals";
import type { Run } from "./support/client.ts";
import { Deployment } from "./support/deployments.ts";
import { freeze } from "./support/freeze.ts";
import { eventually } from "./support/processes.ts";
import { Sink } from "./support/sink.ts";

const REPORT = `export default async () => {
  await fetch(process.env.SINK + "/" + [process.env.MAIA_RUN_ID, process.env.MAIA_STEP_KEY, process.env.MAIA_ATTEMPT_NO].join(","));
  return {};
}`;

it("gives each of 2,000 queued jobs to exactly one of 4 engines released together (G3, G6, G28)", async () => {
  await using sink = await Sink.open();
  await using maia = await Deployment.start("separate", { RUNNER_URL: "", RUNNER_TOKEN: "" }, 0);
  const { client } = maia;
  await client.apply({ name: "one", reuse: true, env: { SINK: sink.url }, steps: [{ key: "a", script: REPORT }] });
  const ids: string[] = [];
  for (let i = 0; i < 20; i++) {
    const jobs = await Promise.all(Array.from({ length: 100 }, () => client.submit("one")));
    ids.push(...jobs.map((job) => job.id));
  }
  for (const name of ["engine", "engine-2", "engine-3", "engine-4"]) maia.spawn(name);
  const queued = async (status: string) =>
    (await client.get<{ items: unknown[] }>(`/v1/jobs?status=${status}&limit=1`)).items.length;
  await eventually(
    "all jobs have ended",
    async () => (await queued("QUEUED")) + (await queued("RUNNING")) === 0,
    240_000,
  );

  const runs: Run[] = [];
  for (let i = 0; i < ids.length; i += 50) {
    runs.push(
      ...(await Promise.all(ids.slice(i, i + 50).map(async (id) => client.run((await client.job(id)).runId ?? "")))),
    );
  }
  expect(new Set(runs.map((run) => run.id)).size).toBe(2_000);
  expect(runs.filter((run) => run.status !== "SUCCEEDED")).toEqual([]);
  expect(sink.doubles()).toEqual([]);
  expect(sink.entries).toHaveLength(2_000);
  expect(new Set(runs.map((run) => run.engineId)).size).toBe(4);
}, 300_000);

it("lets an engine that was stopped for longer than its lease change nothing when it wakes (G7)", async () => {
  await using sink = await Sink.open();
  const short = { MAIA_LEASE_TTL_MS: "1500", MAIA_LEASE_RENEW_MS: "300", RUNNER_URL: "", RUNNER_TOKEN: "" };
  await using maia = await Deployment.start("separate", short, 1);
  const { client } = maia;
  const slow = `import { setTimeout } from "node:timers/promises"; ${REPORT.replace("return {};", "await setTimeout(500); return {};")}`;
  await client.apply({
    name: "slow",
    env: { SINK: sink.url },
    steps: ["a", "b", "c"].map((key, i, all) => ({ key, deps: i > 0 ? [all[i - 1] ?? ""] : [], script: slow })),
  });
  const job = await client.submit("slow");
  await eventually("the first step runs", async () => sink.entries.length > 0);
  await freeze(maia, "engine");
  maia.spawn("engine-2");
  const run = await client.finished(job.id);
  const before = await client.events(run.id);
  maia.part("engine").signal("SIGCONT");
  const next = await client.submit("slow");
  expect((await client.finished(next.id)).status).toBe("SUCCEEDED");

  expect(run.status).toBe("SUCCEEDED");
  expect(await client.events(run.id)).toEqual(before);
  const epochs = before.flatMap((event) => (typeof event.data.epoch === "number" ? [event.data.epoch] : []));
  expect(epochs).toEqual(epochs.toSorted((a, b) => a - b));
  expect(new Set(epochs).size).toBe(2);
  expect(sink.doubles()).toEqual([]);
}, 120_000);
