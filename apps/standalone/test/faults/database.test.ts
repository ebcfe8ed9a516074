import path from "node:path";
import { describe, expect, it, jest } from "@jest/globals";
import Database from "better-sqlite3";
import type { Run } from "../support/client.ts";
import { Deployment } from "../support/deployments.ts";
import { aMarkedStep } from "../support/marked-steps.ts";
import { eventually } from "../support/processes.ts";
import { Sink } from "../support/sink.ts";

jest.setTimeout(180_000); // several processes, on a machine that may be busy

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const attemptsOf = (run: Run) => run.steps.flatMap(({ attempts }) => attempts.map(({ status }) => status));

/** Takes the write lock of a running Maia's database for a while, as another process that hangs would. */
async function holdWriteLock({ dataDir }: Deployment, ms: number): Promise<void> {
  const other = new Database(path.join(dataDir, "maia.db"), { timeout: 5_000 });
  try {
    other.exec("BEGIN IMMEDIATE");
    await wait(ms);
    other.exec("ROLLBACK");
  } finally {
    other.close();
  }
}

describe("a database whose write lock somebody else holds", () => {
  it("for three seconds costs nobody an answer, a lease, or an attempt (F55, G26)", async () => {
    await using sink = await Sink.open();
    await using maia = await Deployment.start("separate", {}, 2);
    await maia.client.apply({ name: "one", env: { SINK: sink.url }, steps: [aMarkedStep("a", [], 200)] });
    const jobs: string[] = [];
    const statuses = new Set<number>();
    let isOver = false;
    const load = async () => {
      while (!isOver) {
        const answer = await maia.client.call<{ id: string }>("POST", "/v1/jobs", { workflow: "one" });
        statuses.add(answer.status);
        jobs.push(answer.body.id);
        statuses.add((await maia.client.call("GET", "/v1/jobs")).status);
        await wait(100);
      }
    };
    const loads = [load(), load(), load()];
    await eventually("steps run", async () => sink.entries.length > 3);
    await holdWriteLock(maia, 3_000);
    const before = jobs.length;
    await eventually("it goes on", async () => jobs.length > before);
    isOver = true;
    await Promise.all(loads);
    expect([...statuses].toSorted()).toEqual([200, 201]);
    for (const id of jobs) {
      const run = await maia.client.finished(id);
      expect([run.status, attemptsOf(run)]).toEqual(["SUCCEEDED", ["SUCCEEDED"]]);
    }
    expect([sink.entries.length, sink.doubles()]).toEqual([jobs.length, []]);
    for (const engine of ["engine", "engine-2"]) expect(maia.part(engine).log).not.toContain("lease was lost");
  });

  it("for longer than anybody waits is answered with BUSY, and all goes on by itself afterwards (F21, G13, G26)", async () => {
    await using sink = await Sink.open();
    await using maia = await Deployment.start("local", {
      MAIA_DB_RETRY_BUDGET_MS: "300",
      MAIA_LEASE_TTL_MS: "900",
      MAIA_LEASE_RENEW_MS: "200",
    });
    const { client } = maia;
    const steps = [aMarkedStep("a", [], 1_500), aMarkedStep("b", ["a"])];
    await client.apply({ name: "pair", env: { SINK: sink.url }, steps });
    const running = await client.submit("pair");
    await eventually("a step runs", async () => sink.entries.length === 1);
    const held = holdWriteLock(maia, 4_000); // more than three leases
    const refused = await eventually("a request is refused", async () => {
      const answer = await client.call("POST", "/v1/jobs", { workflow: "pair" });
      return answer.status === 201 ? null : answer;
    });
    expect(refused).toMatchObject({ status: 503, body: { code: "BUSY" } });
    expect(refused.headers.get("retry-after")).toMatch(/^\d+$/);
    expect((await client.call("GET", "/v1/jobs")).status).toBe(200);
    await held;
    const later = await eventually("a request is taken", async () => client.submit("pair").catch(() => null));
    for (const { id } of [running, later]) expect((await client.finished(id)).status).toBe("SUCCEEDED");
    expect([maia.part("up").running, sink.doubles()]).toEqual([true, []]);
  });
});

it("a job whose row holds what is no text fails by itself: the others run, and nothing stops (F22, G12)", async () => {
  await using maia = await Deployment.start("separate", { RUNNER_URL: "", RUNNER_TOKEN: "" }, 0);
  const { client } = maia;
  await client.apply({ name: "one", steps: [{ key: "a", script: "export default (ctx) => ({})" }] });
  const poison = await client.submit("one", { params: { text: "plain" } });
  const other = await client.submit("one", { params: { text: "plain" } });
  const good = await client.submit("one");
  const db = new Database(path.join(maia.dataDir, "maia.db"));
  db.prepare(`UPDATE "JobRun" SET "inputJson" = CAST(x'7b2261223aff' AS TEXT) WHERE "id" = ?`).run(poison.id);
  db.prepare(`UPDATE "JobRun" SET "inputJson" = CAST(x'7b2261223a22ff227d' AS TEXT) WHERE "id" = ?`).run(other.id);
  db.close();
  maia.spawn("engine");
  expect((await client.finished(good.id)).status).toBe("SUCCEEDED");
  await eventually("the broken one has failed", async () => (await client.job(poison.id)).status === "FAILED");
  await eventually("the odd one has ended", async () => (await client.job(other.id)).status !== "RUNNING");
  expect((await client.finished((await client.submit("one")).id)).status).toBe("SUCCEEDED");
  expect(maia.part("engine").running).toBe(true);
});
