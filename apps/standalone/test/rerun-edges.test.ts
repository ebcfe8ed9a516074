import { once } from "node:events";
import { readdir, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import type { Client, Run } from "./support/client.ts";
import { Deployment, type Shape } from "./support/deployments.ts";
import { eventually } from "./support/processes.ts";
import { type Job, Reruns, workflow } from "./support/reruns.ts";
import { stepsOf } from "./support/steps.ts";

let maia: Deployment;
let client: Client;
let again: Reruns;

beforeAll(async () => {
  maia = await Deployment.start("local", { MAIA_URL_ALLOW: "127.0.0.1" });
  client = maia.client;
  again = new Reruns(client);
}, 120_000);

afterAll(async () => {
  await maia?.[Symbol.asyncDispose]();
});

describe("a transaction", () => {
  it("runs again whole, also from its second step, and only with its other steps", async () => {
    const step = (key: string, more: object) => ({ key, runtime: "shell" as const, script: "true", ...more });
    await client.apply({
      name: "booking",
      steps: [
        step("before", {}),
        step("reserve", { deps: ["before"], transaction: "t" }),
        step("pay", { deps: ["reserve"], transaction: "t", script: `[ -z "\${FAIL:-}" ]` }),
        step("undo", { transaction: "t", rollback: true }),
        step("after", { deps: ["pay"] }),
      ],
    });
    await again.failing(true);
    const origin = await client.finished((await client.submit("booking")).id);
    await again.failing(false);
    const statuses = (run: Run) => Object.fromEntries(run.steps.map(({ key, status }) => [key, status]));
    expect(statuses(origin)).toMatchObject({
      reserve: "SUCCEEDED",
      pay: "FAILED",
      undo: "SUCCEEDED",
      after: "SKIPPED",
    });
    const { run, steps } = await again.rerun(origin.id, { from: "pay" });
    expect(run.status).toBe("SUCCEEDED");
    expect(statuses(run)).toMatchObject({
      reserve: "SUCCEEDED",
      pay: "SUCCEEDED",
      undo: "SKIPPED",
      after: "SUCCEEDED",
    });
    expect([...steps.values()].map(({ key, reusedFrom }) => [key, reusedFrom !== undefined])).toEqual([
      ["before", true],
      ["reserve", false],
      ["pay", false],
      ["undo", false],
      ["after", false],
    ]);
    const later = await again.rerun(run.id, { from: "after" });
    expect(statuses(later.run)).toEqual(statuses(run));
    expect(later.steps.get("reserve")!.reusedFrom!.runId).toBe(run.id);
    const attemptId = stepsOf(origin).get("reserve")!.attempts[0]!.id;
    expect(await again.refusal(origin.id, { attemptId })).toEqual([422, "INVALID", "/attemptId"]);
    expect(await again.refusal(origin.id, { from: "undo" })).toEqual([422, "INVALID", "/from"]);
  });
});

describe("files that were downloaded", () => {
  it("are those of the run that is done again; only what never arrived is downloaded", async () => {
    let [asked, status] = [0, 200];
    const server = createServer((_, response) => {
      asked++;
      response.writeHead(status).end(`answer ${asked}`);
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/in.txt`;
    await client.apply({ ...workflow, name: "fetched" });
    const fetched = async () => client.finished((await client.submit("fetched", { urlFiles: [{ url }] })).id);
    const first = await fetched();
    for (const body of [{}, { from: "count" }]) {
      const { run } = await again.rerun(first.id, body);
      expect(run).toMatchObject({ status: "SUCCEEDED", inputs: [{ source: "url", url, status: "READY" }] });
      expect(run.outputs!.count).toBe(2);
    }
    expect(asked).toBe(1);

    status = 404;
    const missing = await fetched();
    expect(missing).toMatchObject({ status: "FAILED", failure: { code: "INPUT_DOWNLOAD_FAILED" } });
    status = 200;
    for (const body of [{}, { from: "report" }])
      expect((await again.rerun(missing.id, body)).run.status).toBe("SUCCEEDED");
    server.close();
  });
});

describe("a re-run is refused", () => {
  it("of a run that goes on (G9)", async () => {
    await client.apply({ name: "slow", steps: [{ key: "s", runtime: "shell", script: "sleep 1000" }] });
    const { id } = await client.submit("slow");
    const runId = await eventually("the run has begun", async () => (await client.job(id)).runId);
    for (const body of [{}, { from: "s" }]) {
      expect(await again.refusal(runId, body)).toEqual([409, "STATE_CONFLICT"]);
    }
    await client.call("POST", `/v1/jobs/${id}/cancel`, {});
    expect((await client.finished(id)).status).toBe("CANCELED");
    const answer = await client.call<Job>("POST", `/v1/runs/${runId}/rerun`, { from: "s" });
    expect(answer.status).toBe(201);
    await client.call("POST", `/v1/jobs/${answer.body.id}/cancel`, {});
  });

  it("where its content is gone, and says which", async () => {
    await client.apply({ ...workflow, name: "lost" });
    const file = await client.upload("four five");
    const job = await client.submit("lost", { params: { who: "x" }, files: [{ name: "gone.txt", sha256: file }] });
    const { id } = await client.finished(job.id);
    const words = (await client.artifacts(id)).find(({ name }) => name === "words.txt")!;
    await removeBlob(words.sha256);
    expect(await again.refusal(id, { from: "report" })).toEqual([422, "BLOB_UNKNOWN", "/from"]);
    const { run } = await again.rerun(id, { from: "split" }); // makes the file itself
    expect(run.status).toBe("SUCCEEDED");
    await removeBlob(file);
    expect(await again.refusal(id, {})).toEqual([422, "BLOB_UNKNOWN", ""]);
    const attemptId = stepsOf(run).get("split")!.attempts[0]!.id;
    expect(await again.refusal(run.id, { attemptId })).toEqual([422, "BLOB_UNKNOWN", "/attemptId"]);
  });
});

describe.each<Shape>(["runner", "separate"])("a re-run, %s", (shape) => {
  it("gives a runner the files and data of the steps that it reuses", async () => {
    await using other = await Deployment.start(shape);
    await other.client.apply(workflow);
    const file = { name: "in.txt", sha256: await other.client.upload("one two three") };
    const first = await other.client.finished((await other.client.submit("words", { files: [file] })).id);
    for (const body of [{ from: "report" }, { attemptId: stepsOf(first).get("report")!.attempts[0]!.id }]) {
      const answer = await other.client.call<Job>("POST", `/v1/runs/${first.id}/rerun`, body);
      const run = await other.client.finished(answer.body.id);
      expect(run).toMatchObject({ status: "SUCCEEDED", outputs: first.outputs });
      expect(stepsOf(run).get("count")!.reusedFrom!.runId).toBe(first.id);
    }
  });
});

describe("a re-run survives", () => {
  it("the death of its engine: whoever adopts it knows which part it has (G7)", async () => {
    await client.apply({
      name: "alone",
      steps: [
        { key: "a", script: "export default () => ({ a: 1 })" },
        {
          key: "b",
          deps: ["a"],
          runtime: "shell",
          script: `[ -z "\${SLOW:-}" ] || sleep 1000`,
        },
        { key: "c", deps: ["b"], script: "export default () => ({ c: 1 })" },
      ],
    });
    const origin = await client.finished((await client.submit("alone")).id);
    expect(origin.status).toBe("SUCCEEDED");
    await client.call("PATCH", "/v1/projects/default/environments/default", { variables: { SLOW: "1" } });
    const attemptId = stepsOf(origin).get("b")!.attempts[0]!.id;
    const { body: job } = await client.call<Job>("POST", `/v1/runs/${origin.id}/rerun`, { attemptId });
    const runId = await eventually("the step runs", async () => {
      const { runId } = await client.job(job.id);
      const steps = runId ? stepsOf(await client.run(runId)) : null;
      return steps?.get("b")?.attempts[0]?.status === "RUNNING" ? runId : null;
    });
    await maia.part("up").kill();
    maia.spawn("up");
    await eventually("it is ready again", async () => (await fetch(`${maia.url}/readyz`).catch(() => null))?.ok);
    await client.call("PATCH", "/v1/projects/default/environments/default", { variables: {} });
    await eventually("the lost attempt is tried again", async () => {
      const attempts = stepsOf(await client.run(runId)).get("b")!.attempts;
      return attempts.length > 1;
    });
    await client.call("POST", `/v1/runs/${runId}/cancel`, {});
    const run = await client.finished(job.id);
    expect(run.steps.map(({ key }) => key)).toEqual(["a", "b"]);
    expect(stepsOf(run).get("b")!.attempts[0]!.status).toBe("LOST");
  });
});

async function removeBlob(hash: string): Promise<void> {
  const root = path.join(maia.dataDir, "blobs");
  const files = await readdir(root, { recursive: true });
  const found = files.filter(
    (file) => path.basename(file).includes(hash) || file.replaceAll(path.sep, "").endsWith(hash),
  );
  expect(found).toHaveLength(1);
  await rm(path.join(root, found[0]!));
}
