import { writeFile } from "node:fs/promises";
import path from "node:path";
import { expect, it, jest } from "@jest/globals";
import type { Run } from "../support/client.ts";
import { Deployment } from "../support/deployments.ts";
import { aMarkedStep } from "../support/marked-steps.ts";
import { preload } from "../support/preloads.ts";
import { eventually, temporaryFolder } from "../support/processes.ts";
import { Sink } from "../support/sink.ts";

jest.setTimeout(180_000); // several processes, on a machine that may be busy

const HOUR = 3_600_000;
const attemptsOf = (run: Run) => run.steps.flatMap(({ attempts }) => attempts.map(({ status }) => status));

it("a wall clock that is set an hour ahead, two hours back and a day ahead costs no lease, no attempt and no time limit, and doubles nothing (F65, G27)", async () => {
  await using folder = await temporaryFolder("clock");
  await using sink = await Sink.open();
  const clock = path.join(folder.path, "offset");
  await writeFile(clock, "0");
  const short = { MAIA_LEASE_TTL_MS: "2000", MAIA_LEASE_RENEW_MS: "300" };
  await using maia = await Deployment.start(
    "separate",
    { ...preload("wall-clock", { CLOCK_FILE: clock }), ...short },
    2,
  );
  const { client } = maia;
  const limits = { timeoutMs: 60_000, retry: { maxAttempts: 1 } };
  await client.apply({
    name: "pair",
    env: { SINK: sink.url },
    timeoutMs: 60_000,
    steps: [aMarkedStep("a", [], 700, limits), aMarkedStep("b", ["a"], 100, limits)],
  });
  const schedule = { workflow: "pair", kind: "interval", intervalMs: 2 * HOUR, misfire: "fire_once" };
  const made = await client.call<{ id: string }>("POST", "/v1/schedules", schedule);
  expect(made.status).toBe(201);

  const jobs: string[] = [];
  for (const offsetMs of [HOUR, -HOUR, 23 * HOUR]) {
    const before = sink.entries.length;
    for (let i = 0; i < 4; i++) jobs.push((await client.submit("pair")).id);
    await eventually("steps run", async () => sink.entries.length > before);
    await writeFile(clock, String(offsetMs));
    await eventually("Maia's clock shows it", async () => {
      const { id } = await client.submit("pair");
      jobs.push(id);
      const { createdAt } = await client.get<{ createdAt: string }>(`/v1/jobs/${id}`);
      return Math.abs(Date.parse(createdAt) - Date.now() - offsetMs) < HOUR / 2;
    });
    for (const id of jobs) {
      const run = await client.finished(id);
      expect([run.status, attemptsOf(run)]).toEqual(["SUCCEEDED", ["SUCCEEDED", "SUCCEEDED"]]);
    }
  }
  const ticks = async () =>
    (await client.get<{ items: { dueAt: string; jobId: string | null }[] }>(`/v1/schedules/${made.body.id}/ticks`))
      .items;
  const [fired] = await eventually("the schedule has caught up", async () => {
    const all = await ticks();
    return all.some(({ jobId }) => jobId !== null) ? all.filter(({ jobId }) => jobId !== null) : null;
  });
  jobs.push((await client.finished(fired?.jobId ?? "")).jobId);
  const dueAt = (await ticks()).map((tick) => tick.dueAt);
  expect(new Set(dueAt).size).toBe(dueAt.length);
  expect((await client.get<{ items: unknown[] }>("/v1/jobs?limit=100")).items).toHaveLength(jobs.length);
  expect([sink.entries.length, sink.doubles()]).toEqual([jobs.length * 2, []]);
  for (const engine of ["engine", "engine-2"]) expect(maia.part(engine).log).not.toMatch(/lease was lost|adopted runs/);
});
