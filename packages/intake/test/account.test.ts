import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import {
  deleteWorkflow,
  dueSchedules,
  findScheduleView,
  insertSchedule,
  listTicks,
  nextDueAt,
  type ScheduleRow,
} from "@maia/db";
import { DAY, HOUR, MINUTE, newId, planTicks, SECOND } from "@maia/domain";
import { accountFor, TICKS_KEPT_MS } from "../src/account.js";
import { prepareJob } from "../src/prepare-job.js";
import { parseScheduleRequest } from "../src/schedule-request.js";
import { beginning, scheduleValues } from "../src/schedule-values.js";
import { anyone, aPlace, NOW, type Place, publish } from "./support.js";

let place: Place;
beforeEach(async () => {
  place = await aPlace();
});
afterEach(async () => {
  await place[Symbol.asyncDispose]();
});

const after = (ms: number) => new Date(NOW.getTime() + ms);

/** A schedule of workflow `hello`, every minute unless it says otherwise. */
async function aSchedule(more: object = {}): Promise<string> {
  const body = { workflow: "hello", kind: "interval", intervalMs: MINUTE, ...more };
  const request = parseScheduleRequest(body, NOW);
  const { target } = await prepareJob(place.context, request.job, [], anyone);
  const id = newId("schedule", NOW);
  const { projectId, workflowId } = target;
  const values = scheduleValues(request, target, beginning(request, NOW));
  await place.db.write((tx) =>
    insertSchedule(tx, { id, projectId, workflowId, createdBy: "key_maker", ...values }, NOW),
  );
  return id;
}

async function look(id: string): Promise<ScheduleRow> {
  return (await findScheduleView(place.db.sql, null, id))!;
}

async function account(id: string, now: Date) {
  const schedule = await look(id);
  return accountFor(place.context, schedule, planTicks(schedule, now), now);
}

const ticksOf = async (id: string) =>
  (await listTicks(place.db.sql, id, undefined, { limit: 100, cursor: null })).items.reverse();
const outcomesOf = async (id: string) => (await ticksOf(id)).map(({ outcome }) => outcome);
const jobsOf = (scheduleId: string) =>
  place.db.models.jobRun.findMany({ where: { scheduleId }, orderBy: { id: "asc" } });
const endJobs = () => place.db.write(({ sql }) => sql.run(`UPDATE "JobRun" SET "status" = 'SUCCEEDED'`));

describe("a schedule that comes due", () => {
  it("makes its job on behalf of whoever made it, with its files and its event, and is moved on, in one write", async () => {
    const paramsSchema = { type: "object", properties: { top: { type: "integer", default: 10 } } };
    await publish(place, "hello", {
      inputSpec: { version: 2, paramsSchema, filesInput: { urlFiles: { enabled: true } } },
    });
    const urlFiles = [{ url: "https://example.org/sales.csv" }];
    const id = await aSchedule({ urlFiles, labels: { team: "x" }, priority: 3 });
    const { jobIds, again } = await account(id, after(MINUTE));
    expect([jobIds.length, again]).toEqual([1, false]);
    const job = await place.db.models.jobRun.findFirstOrThrow({ where: { scheduleId: id }, include: { files: true } });
    expect(job).toMatchObject({
      id: jobIds[0],
      trigger: "schedule",
      scheduledFor: after(MINUTE),
      requestedBy: "key_maker",
      inputJson: '{"top":10}',
      labels: '{"team":"x"}',
      priority: 3,
      files: [{ source: "url", status: "FETCHING", name: "sales.csv" }],
    });
    const events = await place.db.models.logEvent.findMany({ where: { kind: "job_status" } });
    expect(events.map(({ data }) => JSON.parse(data).jobId)).toEqual(jobIds);
    expect(await ticksOf(id)).toMatchObject([{ dueAt: after(MINUTE), outcome: "fired", jobId: jobIds[0] }]);
    expect(await nextDueAt(place.db.sql)).toEqual(after(2 * MINUTE));
  });

  it("fires once per instant, however many have seen it due (G28)", async () => {
    await publish(place, "hello");
    const id = await aSchedule({ overlap: "allow" });
    for (let minute = 1; minute <= 10; minute++) {
      const now = after(minute * MINUTE);
      const seen = await look(id);
      await Promise.all(Array.from({ length: 5 }, () => accountFor(place.context, seen, planTicks(seen, now), now)));
    }
    const jobs = await jobsOf(id);
    expect(jobs.map(({ scheduledFor }) => scheduledFor)).toEqual(
      Array.from({ length: 10 }, (_, index) => after((index + 1) * MINUTE)),
    );
    expect(await outcomesOf(id)).toEqual(Array(10).fill("fired"));
  });

  it("does nothing with a plan that was made before somebody changed the schedule", async () => {
    await publish(place, "hello");
    const id = await aSchedule();
    const seen = await look(id);
    await place.db.write(({ sql }) => sql.run(`UPDATE "Schedule" SET "revision" = 1 WHERE "id" = ?`, id));
    const now = after(MINUTE);
    expect(await accountFor(place.context, seen, planTicks(seen, now), now)).toMatchObject({ jobIds: [], again: true });
    expect([await jobsOf(id), await ticksOf(id)]).toEqual([[], []]);
  });

  it("is skipped while an earlier job of it has not ended, unless overlap allows it", async () => {
    await publish(place, "hello");
    const [skips, allows] = [await aSchedule(), await aSchedule({ overlap: "allow" })];
    for (const minute of [1, 2]) for (const id of [skips, allows]) await account(id, after(minute * MINUTE));
    expect([await outcomesOf(skips), await outcomesOf(allows)]).toEqual([
      ["fired", "skipped"],
      ["fired", "fired"],
    ]);
    await endJobs();
    await account(skips, after(3 * MINUTE));
    expect(await outcomesOf(skips)).toEqual(["fired", "skipped", "fired"]);
  });

  it("catches up as far as its limit says, and accounts for the rest", async () => {
    await publish(place, "hello");
    const id = await aSchedule({ misfire: "catch_up", catchUpLimit: 3, overlap: "allow" });
    await account(id, after(5 * MINUTE + 1));
    expect(await outcomesOf(id)).toEqual(["missed", "missed", "fired", "fired", "fired"]);
    expect((await jobsOf(id)).map(({ scheduledFor }) => scheduledFor)).toEqual([3, 4, 5].map((n) => after(n * MINUTE)));
  });

  it("accounts for a year of missed seconds in a few rows", async () => {
    await publish(place, "hello");
    const id = await aSchedule({ intervalMs: SECOND });
    const now = after(365 * DAY);
    expect((await account(id, now)).again).toBe(true);
    expect(await ticksOf(id)).toMatchObject([{ outcome: "missed", dueAt: after(SECOND), count: 365 * 86_400 - 1_000 }]);
    expect((await account(id, now)).jobIds).toHaveLength(1);
    const { _sum, _count } = await place.db.models.scheduleTick.aggregate({ _sum: { count: true }, _count: true });
    expect([_sum.count, _count]).toEqual([365 * 86_400, 1_001]);
  });

  it("forgets ticks after ninety days, and makes no second job of their instants even so", async () => {
    await publish(place, "hello");
    const id = await aSchedule({ intervalMs: DAY });
    await account(id, after(DAY));
    await endJobs();
    await account(id, after(DAY + TICKS_KEPT_MS + HOUR));
    expect((await ticksOf(id))[0]!.dueAt).toEqual(after(2 * DAY));
    await place.db.write(({ sql }) =>
      sql.run(`UPDATE "Schedule" SET "nextRunAt" = (SELECT "scheduledFor" FROM "JobRun" LIMIT 1) WHERE "id" = ?`, id),
    );
    await account(id, after(DAY));
    expect(await jobsOf(id)).toHaveLength(2);
  });

  it("says why its job was refused, and tries again at the next instant", async () => {
    const inputSpec = (type: string) => ({
      inputSpec: { version: 2, paramsSchema: { type: "object", properties: { top: { type } } } },
    });
    await publish(place, "hello", inputSpec("integer"));
    const id = await aSchedule({ params: { top: 1 } });
    const pinned = await aSchedule({ params: { top: 1 }, version: 1 });
    await publish(place, "hello", inputSpec("string"));
    expect((await account(id, after(MINUTE))).refusal).toMatchObject({ code: "INVALID" });
    expect((await account(pinned, after(MINUTE))).jobIds).toHaveLength(1);
    const [tick] = await ticksOf(id);
    expect([tick!.outcome, JSON.parse(tick!.failure!)]).toEqual([
      "failed",
      { code: "INVALID", message: expect.stringContaining("/params/top") },
    ]);
    await publish(place, "hello", inputSpec("integer"));
    expect((await account(id, after(2 * MINUTE))).jobIds).toHaveLength(1);
  });

  it("fails when its workflow is gone or its version cannot be read, and only its own instants (G12)", async () => {
    await publish(place, "hello");
    const id = await aSchedule();
    const { workflowId, projectId } = await look(id);
    const row = await place.db.models.workflow.findUniqueOrThrow({ where: { id: workflowId } });
    await place.db.write((tx) =>
      deleteWorkflow(tx, { id: workflowId, draftHash: row.draftHash, projectId } as never, NOW),
    );
    expect((await account(id, after(MINUTE))).refusal).toMatchObject({ code: "NOT_FOUND" });
    expect((await dueSchedules(place.db.sql, after(MINUTE), null, 10)).length).toBe(0);
  });
});
