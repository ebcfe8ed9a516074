import {
  deleteSchedule,
  findScheduleView,
  insertSchedule,
  lastAccountedAt,
  noteScheduleRun,
  type ScheduleValues,
  type ScheduleView,
  updateSchedule,
} from "@maia/db";
import { MaiaError, newId, planMissed } from "@maia/domain";
import {
  accountFor,
  beginning,
  continuation,
  movesInstants,
  parseScheduleChange,
  parseScheduleRequest,
  prepareJob,
  type ScheduleRequest,
  scheduledJob,
  scheduleValues,
  storeJob,
} from "@maia/intake";
import { audited } from "./audited.js";
import { etagOf, requireMatch, type Wanted } from "./http/precondition.js";
import type { Call } from "./http/route.js";
import { madeBefore, makeOnce, type Once } from "./idempotency.js";
import { intakeContext } from "./job-intake.js";
import { found } from "./lookup.js";
import { asRequest } from "./present/schedule.js";

/** A schedule that the caller may see. @throws {MaiaError} NOT_FOUND */
export async function scheduleOf({ context, caller }: Call, id: string): Promise<ScheduleView> {
  return found(await findScheduleView(context.db.sql, caller.projects, id), "schedule");
}

/** Changes with what people change, not with what the engine notes. */
export function scheduleEtag({ id, revision }: ScheduleView): string {
  return etagOf(`${id} ${revision}`);
}

function who({ caller }: Call) {
  return { principal: caller.id, projects: caller.projects };
}

/** Makes a schedule whose job could be made right now. @throws {MaiaError} as `POST /v1/jobs` does */
export async function makeSchedule(call: Call): Promise<Once<string>> {
  const { context, body, now, caller } = call;
  const before = await madeBefore(call);
  if (before) return before;
  const request = parseScheduleRequest(body, now);
  const { target } = await prepareJob(intakeContext(context), request.job, [], who(call));
  return makeOnce(call, async (tx) => {
    const id = newId("schedule", now);
    const values = scheduleValues(request, target, beginning(request, now));
    const { projectId, workflowId } = target;
    await insertSchedule(tx, { id, projectId, workflowId, createdBy: caller.id, ...values }, now);
    await audited(tx, call, "schedule.create", id, { workflowId });
    return { location: `/v1/schedules/${id}`, made: id };
  });
}

/** How often a change is tried again that the engine came in between of. */
const TRIES = 1_000;

/**
 * Changes a schedule. What has come due before a change of its time is accounted for first.
 * @throws {MaiaError} INVALID, PRECONDITION, STATE_CONFLICT
 */
export async function changeSchedule(call: Call, id: string, wanted: Wanted): Promise<void> {
  const { context, body, now } = call;
  const intake = intakeContext(context);
  for (let tries = 0; tries < TRIES; tries++) {
    const current = await scheduleOf(call, id);
    requireMatch(wanted, scheduleEtag(current));
    const request = parseScheduleChange(asRequest(current), body, now);
    const target = await targetOf(call, current, request);
    if (movesInstants(current, request) && current.nextRunAt !== null && current.nextRunAt <= now) {
      await accountFor(intake, current, planMissed(current, now), now);
      continue;
    }
    const when = continuation(current, request, await lastAccountedAt(context.db.sql, id), now);
    const isDone = await context.db.write(async (tx) => {
      const isDone = await updateSchedule(tx, current, scheduleValues(request, target, when), now);
      if (isDone) await audited(tx, call, "schedule.update", id, { fields: Object.keys(body as object) });
      return isDone;
    });
    if (isDone) return;
  }
  throw new MaiaError("STATE_CONFLICT", "The schedule keeps changing; look again");
}

/** Fields that say what job is made; a change of the others, such as disabling, is possible whatever has become of the workflow. */
const JOB_FIELDS = ["version", "params", "urlFiles", "environment", "runner", "priority", "labels"];

/** Where the changed schedule's jobs go. @throws {MaiaError} where none could be made. */
async function targetOf(
  call: Call,
  current: ScheduleView,
  { job, rules }: ScheduleRequest,
): Promise<Pick<ScheduleValues, "environmentId" | "runnerId">> {
  const isEnabled = rules.enabled && !current.enabled;
  const isOtherJob = JOB_FIELDS.some((name) => Object.hasOwn(call.body as object, name));
  if (!isEnabled && !isOtherJob) return current;
  return (await prepareJob(intakeContext(call.context), job, [], who(call))).target;
}

/** Deletes a schedule; its jobs stay. @throws {MaiaError} NOT_FOUND, PRECONDITION, STATE_CONFLICT */
export async function removeSchedule(call: Call, id: string, wanted: Wanted): Promise<void> {
  const current = await scheduleOf(call, id);
  requireMatch(wanted, scheduleEtag(current));
  const isGone = await call.context.db.write(async (tx) => {
    const isGone = await deleteSchedule(tx, current, call.now);
    if (isGone) await audited(tx, call, "schedule.delete", id, { workflowId: current.workflowId });
    return isGone;
  });
  if (!isGone) throw new MaiaError("STATE_CONFLICT", "The schedule has changed at this very moment; look again");
}

/** Makes the schedule's job now, enabled or not and whatever runs; its instants stay where they are. */
export async function triggerSchedule(call: Call, id: string): Promise<Once<string>> {
  const { context, caller, now } = call;
  const schedule = await scheduleOf(call, id);
  const before = await madeBefore(call);
  if (before) return before;
  const job = await prepareJob(intakeContext(context), scheduledJob(schedule), [], who(call));
  return makeOnce(call, async (tx) => {
    const jobId = newId("job", now);
    await storeJob(tx, jobId, job, { trigger: "manual", requestedBy: caller.id, scheduleId: id }, now);
    await noteScheduleRun(tx, id, now);
    return { location: `/v1/jobs/${jobId}`, made: jobId };
  });
}
