import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import type { Client, Run } from "./support/client.ts";
import { Deployment } from "./support/deployments.ts";
import { Reruns, workflow } from "./support/reruns.ts";
import { stepsOf } from "./support/steps.ts";

let maia: Deployment;
let client: Client;
let again: Reruns;
let sha256: string;
/** A run in which `count` failed, and one in which all went well. */
let failed: Run;
let good: Run;

beforeAll(async () => {
  maia = await Deployment.start("local");
  client = maia.client;
  again = new Reruns(client);
  await client.apply(workflow);
  sha256 = await client.upload("one two three");
  good = await client.finished((await submit()).id);
  await again.failing(true);
  failed = await client.finished((await submit()).id);
  await again.failing(false);
}, 120_000);

afterAll(async () => {
  await maia?.[Symbol.asyncDispose]();
});

const submit = () =>
  client.submit("words", { params: { who: "Ada" }, files: [{ name: "in.txt", sha256 }], labels: { team: "etl" } });

describe("a whole re-run", () => {
  it("does every step again with the same version, params, files and labels, and says where it comes from", async () => {
    const { job, run, steps } = await again.rerun(good.id);
    expect(job).toMatchObject({
      trigger: "rerun",
      originRunId: good.id,
      rerun: { kind: "whole" },
      params: { who: "Ada" },
      labels: { team: "etl" },
      version: 1,
    });
    expect(run).toMatchObject({ status: "SUCCEEDED", originRunId: good.id, outputs: { count: 3 } });
    expect(run.outputs!.random).not.toBe(good.outputs!.random);
    for (const step of steps.values()) expect([step.attempts.length, step.reusedFrom]).toEqual([1, undefined]);
    const files = (given: Run) => (given as unknown as { inputs: { sha256: string; name: string }[] }).inputs;
    expect(files(run).map(({ name, sha256 }) => ({ name, sha256 }))).toEqual([{ name: "in.txt", sha256 }]);
  });

  it("may have other params", async () => {
    const { job, run } = await again.rerun(good.id, { params: { who: "Grace" } });
    expect(job.params).toEqual({ who: "Grace" });
    expect(JSON.parse(await again.systemArtifact(run.id, "split", "output.json")).data.who).toBe("Grace");
  });

  it("has the version of the run that it does again, whatever was published since (G5)", async () => {
    await client.apply({ ...workflow, name: "pinned" });
    const job = await client.submit("pinned", { params: { who: "Ada" }, files: [{ name: "in.txt", sha256 }] });
    const before = await client.finished(job.id);
    await client.apply({ ...workflow, name: "pinned", description: "changed" });
    const { run } = await again.rerun(before.id);
    expect(run).toMatchObject({ version: 1, snapHash: (before as unknown as { snapHash: string }).snapHash });
  });
});

describe("a re-run from a step", () => {
  it("reuses the results of finished steps, outputs and files, and carries on from there", async () => {
    expect(failed).toMatchObject({ status: "FAILED", failure: { stepKey: "count" } });
    const { job, run, steps } = await again.rerun(failed.id, { from: "count" });
    expect(job).toMatchObject({ trigger: "rerun", originRunId: failed.id, rerun: { kind: "from", from: "count" } });
    expect(run.status).toBe("SUCCEEDED");
    const origin = stepsOf(failed);
    expect(steps.get("split")).toMatchObject({
      status: "SUCCEEDED",
      attempts: [],
      reusedFrom: { runId: failed.id, attemptId: origin.get("split")!.attempts[0]!.id, attemptNo: 1 },
    });
    expect(steps.get("count")!.attempts.map(({ no, status }) => [no, status])).toEqual([[1, "SUCCEEDED"]]);
    expect(run.outputs).toMatchObject({ count: 3 });
  });

  it("copies no row of a result, and shows the files of steps that it reuses as its own", async () => {
    const { run } = await again.rerun(good.id, { from: "report" });
    expect(run.outputs).toMatchObject({ count: 3, random: good.outputs!.random });
    const [here, there] = [await client.artifacts(run.id), await client.artifacts(good.id)];
    const idsOf = (list: typeof here, key: string) => list.filter(({ stepKey }) => stepKey === key).map(({ id }) => id);
    for (const key of ["split", "aside", "count"]) expect(idsOf(here, key)).toEqual(idsOf(there, key));
    expect(idsOf(here, "report")).not.toEqual(idsOf(there, "report"));
    expect(await client.logs(run.id)).toEqual([]);
  });

  it("tells its followers that the reused steps have succeeded, before any other begins (G14)", async () => {
    const { run } = await again.rerun(good.id, { from: "report" });
    const events = (await client.events(run.id)).filter(({ event }) => event === "step_status");
    const told = events.map(({ data }) => `${data.stepKey} ${data.status}${data.reusedFrom ? " reused" : ""}`);
    expect(told.slice(0, 3).sort()).toEqual([
      "aside SUCCEEDED reused",
      "count SUCCEEDED reused",
      "split SUCCEEDED reused",
    ]);
    expect(told.slice(3)).toEqual(["report RUNNING", "report SUCCEEDED"]);
  });

  it("gives a step the very bytes of input that it had, but for the run's id", async () => {
    const { run } = await again.rerun(good.id, { from: "report" });
    const before = await again.systemArtifact(good.id, "report", "input.json");
    expect(await again.systemArtifact(run.id, "report", "input.json")).toBe(before.replace(good.id, run.id));
  });

  it("of a re-run reuses what that one reused, from where it was made", async () => {
    const first = await again.rerun(failed.id, { from: "count" });
    const second = await again.rerun(first.run.id, { from: "report" });
    expect(second.run.status).toBe("SUCCEEDED");
    expect(second.job.originRunId).toBe(first.run.id);
    expect(second.steps.get("split")!.reusedFrom!.runId).toBe(failed.id);
    expect(second.steps.get("count")!.reusedFrom!.runId).toBe(first.run.id);
    expect(second.run.outputs).toEqual(first.run.outputs);
  });
});

describe("a re-run of one attempt", () => {
  it("does that step alone, once, with the very bytes of input that it had, but for run and number", async () => {
    const attempt = stepsOf(failed).get("count")!.attempts[1]!;
    const { job, run, steps } = await again.rerun(failed.id, { attemptId: attempt.id });
    expect(job.rerun).toEqual({ kind: "attempt", attemptId: attempt.id, stepKey: "count", attemptNo: 2 });
    expect([...steps.keys()]).toEqual(["split", "count"]);
    expect(steps.get("split")!.reusedFrom!.runId).toBe(failed.id);
    expect([run.status, steps.get("count")!.status]).toEqual(["SUCCEEDED", "SUCCEEDED"]);
    const before = await again.systemArtifact(failed.id, "count", "input.json", 2);
    const after = await again.systemArtifact(run.id, "count", "input.json");
    expect(after).toBe(before.replace(failed.id, run.id).replace('"attemptNo":2', '"attemptNo":1'));
    expect(JSON.parse(after).initialInput.files[0].sha256).toBe(sha256);
  });

  it("that fails again is not tried a second time, whatever the step's retry says", async () => {
    await again.failing(true);
    const { run, steps } = await again.rerun(failed.id, { attemptId: stepsOf(failed).get("count")!.attempts[0]!.id });
    await again.failing(false);
    expect(run).toMatchObject({ status: "FAILED", failure: { code: "STEP_EXIT_CODE", stepKey: "count" } });
    expect(steps.get("count")!.attempts).toHaveLength(1);
  });

  it("can be carried on from: the whole workflow, with its result in the place of the old one", async () => {
    const alone = await again.rerun(failed.id, { attemptId: stepsOf(failed).get("count")!.attempts[0]!.id });
    const { run, steps } = await again.rerun(alone.run.id, { from: "report" });
    expect(run.status).toBe("SUCCEEDED");
    expect(steps.get("count")!.reusedFrom!.runId).toBe(alone.run.id);
    expect([...steps.keys()]).toEqual(["split", "aside", "count", "report"]);
  });
});
