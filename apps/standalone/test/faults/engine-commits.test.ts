import { describe, expect, it, jest } from "@jest/globals";
import { Deployment } from "../support/deployments.ts";
import { aMarkedStep } from "../support/marked-steps.ts";
import { preload } from "../support/preloads.ts";
import { Sink } from "../support/sink.ts";

jest.setTimeout(180_000); // several processes, on a machine that may be busy

// Before a commit: the runner has accepted a step, or given back its end, and the engine's note of it is lost.
// After one: the job is claimed, the attempt is noted, the end is noted, and nothing that follows has begun.
describe.each(["before", "after"])("an engine that is killed %s each of its commits in turn", (moment) => {
  it("leaves a run that another one carries on: each step starts once, in one attempt (F09, F10, F13, F14, G3, G6)", async () => {
    await using sink = await Sink.open();
    await using maia = await Deployment.start("separate", {}, 0);
    await maia.client.apply({
      name: "pair",
      env: { SINK: sink.url },
      steps: [aMarkedStep("first"), aMarkedStep("second", ["first"])],
    });
    let deaths = 0;
    for (let survived = false; !survived; ) {
      const { id } = await maia.client.submit("pair");
      const victim = maia.spawn("engine", preload("die-at-commit", { DIE_AT: String(deaths + 1), DIE_WHEN: moment }));
      survived = await Promise.race([victim.ended().then(() => false), maia.client.finished(id).then(() => true)]);
      if (!survived) deaths += 1;
      maia.spawn("engine-2");
      const run = await maia.client.finished(id);
      await maia.part("engine-2").kill();
      await victim.kill();
      expect(run).toMatchObject({ status: "SUCCEEDED", failure: null });
      const started = sink.entries.filter((entry) => entry.startsWith(run.id));
      expect([deaths, started]).toEqual([deaths, [`${run.id},first,1`, `${run.id},second,1`]]);
      expect(run.steps.map(({ attempts }) => attempts.map(({ status }) => status))).toEqual([
        ["SUCCEEDED"],
        ["SUCCEEDED"],
      ]);
    }
    expect(deaths).toBeGreaterThanOrEqual(4); // claim, dispatch, the end of a step, the end of the run
    const { items } = await maia.client.get<{ items: unknown[] }>("/v1/runs?limit=100");
    expect(items).toHaveLength(deaths + 1);
  });
});
