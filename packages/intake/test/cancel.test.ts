import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { requestCancel } from "@maia/db";
import { aPlace, ask, NOW, type Place, publish } from "./support.js";

let place: Place;
let jobId: string;
beforeEach(async () => {
  place = await aPlace();
  await publish(place, "hello");
  jobId = (await ask(place, { workflow: "hello" })).jobId;
});
afterEach(async () => {
  await place[Symbol.asyncDispose]();
});

const later = new Date(NOW.getTime() + 5_000);

function cancel(id = jobId): Promise<boolean> {
  return place.db.write((tx) => requestCancel(tx, id, later));
}

async function job() {
  return place.db.models.jobRun.findUniqueOrThrow({ where: { id: jobId } });
}

/** The job as an engine has it that claimed it. */
async function running(): Promise<void> {
  await place.db.write(async ({ models }) => {
    const { projectId, workflowId, workflowVersionId } = await models.jobRun.update({
      where: { id: jobId },
      data: { status: "RUNNING" },
    });
    const ids = { id: "run_1", jobRunId: jobId, projectId, workflowId, workflowVersionId };
    const owner = { ownerId: "eng_1", ownerEpoch: 1, initialInput: "{}", createdAt: NOW };
    await models.run.create({ data: { ...ids, ...owner, status: "RUNNING" } });
  });
}

describe("a cancel (G16)", () => {
  it("ends a queued job at once, and tells it once", async () => {
    expect(await cancel()).toBe(true);
    expect(await job()).toMatchObject({ status: "CANCELED", finishedAt: later, cancelRequestedAt: later });
    const events = await place.db.models.logEvent.findMany({ orderBy: { id: "asc" } });
    expect(events.map(({ data }) => JSON.parse(data).status)).toEqual(["QUEUED", "CANCELED"]);
  });

  it("of a running job is noted on job and run, and the engine is rung", async () => {
    await running();
    const rung = place.db.bell("engine").next();
    expect(await cancel()).toBe(true);
    await rung;
    expect(await job()).toMatchObject({ status: "RUNNING", cancelRequestedAt: later });
    expect(await place.db.models.run.findFirstOrThrow()).toMatchObject({ status: "RUNNING", cancelRequestedAt: later });
  });

  it("that comes again changes nothing while the job ends, and is refused when it has ended (B058)", async () => {
    await running();
    expect(await cancel()).toBe(true);
    expect(await place.db.write((tx) => requestCancel(tx, jobId, new Date(later.getTime() + 1)))).toBe(true);
    expect(await job()).toMatchObject({ cancelRequestedAt: later });
    await place.db.write((tx) => tx.models.jobRun.update({ where: { id: jobId }, data: { status: "SUCCEEDED" } }));
    expect(await cancel()).toBe(false);
    expect(await cancel("job_nobody")).toBe(false);
  });

  it("has one effect when a hundred come at once (B058)", async () => {
    const answers = await Promise.all(Array.from({ length: 100 }, () => cancel()));
    expect(answers.filter(Boolean)).toHaveLength(1);
    expect(await place.db.models.logEvent.count()).toBe(2);
  });
});
