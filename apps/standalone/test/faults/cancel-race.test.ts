import { expect, it, jest } from "@jest/globals";
import { Deployment } from "../support/deployments.ts";

jest.setTimeout(180_000); // several processes, on a machine that may be busy

const RACES = 100;

it("a cancel and the end of a job at the same moment leave one end, and the answer agrees with it, 100 times (F37, G16)", async () => {
  await using maia = await Deployment.start("local");
  const { client } = maia;
  await client.apply({ name: "quick", reuse: true, steps: [{ key: "a", script: "export default () => ({})" }] });
  await client.finished((await client.submit("quick")).id); // a process is up
  const seen = { canceled: 0, late: 0 };
  for (let race = 0; race < RACES; race++) {
    const { id } = await client.submit("quick");
    await new Promise((resolve) => setTimeout(resolve, race % 20));
    const { status } = await client.call("POST", `/v1/jobs/${id}/cancel`, {});
    expect([202, 409]).toContain(status);
    seen[status === 202 ? "canceled" : "late"] += 1;
    let job = await client.job(id);
    while (!["SUCCEEDED", "FAILED", "CANCELED"].includes(job.status)) job = await client.job(id);
    expect([race, job.status]).toEqual([race, status === 202 ? "CANCELED" : "SUCCEEDED"]);
    if (job.runId === null) continue; // it was canceled in the queue
    const ends = (await client.events(job.runId)).filter(
      ({ event, data }) => event === "run_status" && ["SUCCEEDED", "FAILED", "CANCELED"].includes(String(data.status)),
    );
    expect(ends.map(({ data }) => data.status)).toEqual([job.status]);
  }
  expect([seen.canceled > 0, seen.late > 0]).toEqual([true, true]); // both happened
});
