import { describe, expect, it, jest } from "@jest/globals";
import { TestProxy } from "../../../runner/test/support/proxy.ts";
import type { Run } from "../support/client.ts";
import { Deployment } from "../support/deployments.ts";
import { processesMarked } from "../support/marked-processes.ts";
import { aMarkedStep } from "../support/marked-steps.ts";
import { eventually } from "../support/processes.ts";
import { Sink } from "../support/sink.ts";

jest.setTimeout(180_000); // several processes, on a machine that may be busy

const attemptsOf = (run: Run) => run.steps.flatMap(({ attempts }) => attempts.map(({ status }) => status));

/** A step that leaves a process outside of its group, and ends well from its second attempt on. */
function aTree(mark: string) {
  const script = `[ "$MAIA_ATTEMPT_NO" -gt 1 ] && exit 0\nsetsid sleep 1000 &\nsleep 1000\n`;
  return { name: "tree", env: { MARK: mark }, steps: [{ key: "s", runtime: "shell" as const, script }] };
}

describe("whoever runs a step is killed", () => {
  it.each([
    { who: "Maia itself, without a runner (F17, G17)", part: "up", shape: "local" },
    { who: "a runner (F25, G17)", part: "runner", shape: "runner" },
  ] as const)(
    "and its tree goes with it, the attempt is lost and the next one succeeds: $who",
    async ({ part, shape }) => {
      const mark = `${part}-${process.pid}`;
      await using maia = await Deployment.start(shape);
      await maia.client.apply(aTree(mark));
      const { id } = await maia.client.submit("tree");
      await eventually("both processes run", async () => (await processesMarked(mark)).length >= 2);
      maia.part(part).signal("SIGKILL");
      await eventually("the tree is gone", async () => (await processesMarked(mark)).length === 0, 5_000);
      await maia.part(part).ended();
      maia.spawn(part);
      const run = await eventually("the API is back", () => maia.client.finished(id).catch(() => null));
      expect([run.status, attemptsOf(run)]).toEqual(["SUCCEEDED", ["LOST", "SUCCEEDED"]]);
    },
  );
});

it("an engine that is killed after its runner took a step, before the first byte of the answer, finds that attempt again (F11, G6)", async () => {
  await using sink = await Sink.open();
  await using maia = await Deployment.start("separate", {}, 0);
  await using proxy = await TestProxy.open(maia.env.RUNNER_URL ?? "");
  await maia.client.apply({ name: "slow", env: { SINK: sink.url }, steps: [aMarkedStep("a", [], 500)] });
  const engine = maia.spawn("engine", { RUNNER_URL: proxy.url });
  await maia.client.finished((await maia.client.submit("slow")).id); // the runner knows the script from now on
  // From here on the runner hears the engine, and the engine hears nothing of what it answers to a task.
  proxy.treat = () => ({ deafAfterRequest: "/v1/exec/step" });
  proxy.cutAll();
  const { id } = await maia.client.submit("slow");
  await eventually("the step has begun", async () => sink.entries.length === 2);
  await engine.kill();
  maia.spawn("engine-2");
  const run = await maia.client.finished(id);
  expect([run.status, attemptsOf(run), sink.entries.slice(1)]).toEqual(["SUCCEEDED", ["SUCCEEDED"], [`${run.id},a,1`]]);
});

it("a runner that is told to stop finishes its three steps and leaves five in the queue, which wait until it is back (F27, F51, G22)", async () => {
  await using sink = await Sink.open();
  await using maia = await Deployment.start("runner", { MAIA_RUNNER_SLOTS: "3" });
  await maia.client.apply({ name: "slow", env: { SINK: sink.url }, steps: [aMarkedStep("a", [], 1_000)] });
  const jobs: string[] = [];
  for (let i = 0; i < 8; i++) jobs.push((await maia.client.submit("slow")).id);
  await eventually("three steps run", async () => sink.entries.length === 3);
  expect(await maia.part("runner").stop()).toBe(0);
  const begun = sink.entries.length;
  await eventually("what ran has ended", async () => {
    const { items } = await maia.client.get<{ items: unknown[] }>("/v1/jobs?status=SUCCEEDED");
    return items.length === begun;
  });
  expect(begun).toBe(3);
  const waiting = await maia.client.get<{ items: { status: string }[] }>("/v1/jobs");
  expect(waiting.items.filter(({ status }) => ["QUEUED", "RUNNING"].includes(status))).toHaveLength(5);
  maia.spawn("runner");
  for (const id of jobs) {
    const run = await maia.client.finished(id);
    expect([run.status, attemptsOf(run)]).toEqual(["SUCCEEDED", ["SUCCEEDED"]]);
  }
  expect([sink.entries.length, sink.doubles()]).toEqual([8, []]);
});
