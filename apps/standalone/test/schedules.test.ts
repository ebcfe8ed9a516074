import { describe, expect, it } from "@jest/globals";
import type { Logger } from "@maia/service";
import { readConfig } from "../src/config.js";
import { start } from "../src/start.js";
import { Client } from "./support/client.ts";
import { Deployment } from "./support/deployments.ts";
import { adminKey, eventually, temporaryFolder } from "./support/processes.ts";

const quiet: Logger = { error() {}, warn() {}, info() {}, debug() {}, child: () => quiet };
const echo = { name: "echo", steps: [{ key: "a", runtime: "shell" as const, script: "echo scheduled" }] };

interface Tick {
  dueAt: string;
  outcome: string;
  jobId: string | null;
}

/** Everything of a list, the oldest first. */
async function all<T>(client: Client, route: string): Promise<T[]> {
  return (await client.list<T>(route)).reverse();
}

const ticksOf = (client: Client, id: string) => all<Tick>(client, `/v1/schedules/${id}/ticks?`);

async function createSchedule(client: Client, body: object): Promise<string> {
  const answer = await client.call<{ id: string }>("POST", "/v1/schedules", { workflow: "echo", ...body });
  expect([answer.status, answer.body]).toEqual([201, expect.any(Object)]);
  return answer.body.id;
}

describe("schedules", () => {
  it("run once a day while the clocks change, and their runs end with what they logged (F66)", async () => {
    await using folder = await temporaryFolder("schedules");
    const time = { now: new Date("2026-10-23T12:00:00.000Z") };
    const config = readConfig({ MAIA_DATA_DIR: `${folder.path}/data`, MAIA_API_PORT: "0" });
    await using maia = await start(config, { logger: quiet, clock: () => time.now });
    const client = new Client(maia.url, await adminKey(`${folder.path}/data`));
    await client.apply(echo);
    const id = await createSchedule(client, { kind: "cron", cron: "30 2 * * *", timezone: "Europe/Berlin" });
    const { items } = await client.get<{ items: { localTime: string }[] }>(`/v1/schedules/${id}/upcoming?count=3`);
    expect(items.map(({ localTime }) => localTime)).toEqual([
      "2026-10-24T02:30:00+02:00",
      "2026-10-25T02:30:00+02:00",
      "2026-10-26T02:30:00+01:00",
    ]);
    const moments = ["10-24T00:30:05", "10-25T00:30:05", "10-25T01:30:05", "10-26T01:30:05"];
    const counts = [1, 2, 2, 3];
    for (const [index, moment] of moments.entries()) {
      time.now = new Date(`2026-${moment}.000Z`);
      await client.call("PATCH", `/v1/schedules/${id}`, { name: moment }); // a change rings for the engine
      await eventually(`${counts[index]} ticks`, async () => (await ticksOf(client, id)).length >= counts[index]!);
      const last = (await ticksOf(client, id)).at(-1)!;
      const run = await client.finished(last.jobId!);
      expect([run.status, (await client.logs(run.id)).map(({ line }) => line)]).toEqual(["SUCCEEDED", ["scheduled"]]);
    }
    expect((await ticksOf(client, id)).map(({ dueAt, outcome }) => `${dueAt.slice(5, 16)} ${outcome}`)).toEqual([
      "10-24T00:30 fired",
      "10-25T00:30 fired",
      "10-26T01:30 fired",
    ]);
  });

  it("make one job per second and not one more while two engines are killed again and again (G27, G28)", async () => {
    const env = { RUNNER_URL: "", RUNNER_TOKEN: "", MAIA_MAX_ATTEMPTS_LOST: "1000" }; // one run may meet every kill
    await using maia = await Deployment.start("separate", env, 2);
    const { client } = maia;
    await client.apply(echo);
    const every = { kind: "interval", intervalMs: 1_000, misfire: "catch_up", overlap: "allow" };
    const id = await createSchedule(client, every);
    for (let round = 0; round < 6; round++) {
      const before = (await ticksOf(client, id)).length;
      await eventually("another tick", async () => (await ticksOf(client, id)).length > before);
      await maia.part(round % 2 === 0 ? "engine" : "engine-2").kill();
      maia.spawn(round % 2 === 0 ? "engine" : "engine-2");
    }
    await client.call("PATCH", `/v1/schedules/${id}`, { enabled: false });
    const ticks = await ticksOf(client, id);
    const due = ticks.map(({ dueAt }) => Date.parse(dueAt));
    expect(due).toEqual(due.map((_, index) => due[0]! + index * 1_000));
    const fired = ticks.filter(({ outcome }) => outcome === "fired").map(({ jobId }) => jobId);
    // What came due while it was being disabled is missed.
    expect(ticks.map(({ outcome }) => outcome).join(" ")).toMatch(/^fired( fired)*( missed)*$/);
    const jobs = await all<{ id: string }>(client, `/v1/jobs?scheduleId=${id}&`);
    expect(jobs.map((job) => job.id).sort()).toEqual([...fired].sort());
    for (const { id } of jobs) expect(await client.finished(id)).toMatchObject({ status: "SUCCEEDED", failure: null });
  }, 180_000);
});
