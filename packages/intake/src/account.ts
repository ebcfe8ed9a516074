import {
  advanceSchedule,
  disableSchedule,
  hasLiveJob,
  insertTick,
  isAccounted,
  noteScheduleRun,
  type ScheduleRow,
  type Tx,
  trimTicks,
} from "@maia/db";
import { DAY, isMaiaError, newId, type PlannedTick, type TickPlan } from "@maia/domain";
import type { Caller, IntakeContext } from "./context.js";
import type { JobRequest } from "./job-request.js";
import { type PreparedJob, prepareJob } from "./prepare-job.js";
import { storeJob } from "./store-job.js";

/** How long it is remembered what became of an instant. In milliseconds. Source: docs/guides/schedules.md. */
export const TICKS_KEPT_MS = 90 * DAY;

/** Why no job could be made. */
export interface Refusal {
  readonly code: string;
  readonly message: string;
  /** What our own log is to say where the fault is ours. */
  readonly cause?: unknown;
}

export interface Accounted {
  /** The jobs that were made. */
  readonly jobIds: readonly string[];
  readonly refusal: Refusal | null;
  /** True where somebody else was faster, or there is more than one plan holds: look again. */
  readonly again: boolean;
}

const NOTHING: Accounted = { jobIds: [], refusal: null, again: false };

/**
 * Accounts for the instants of a plan: makes their jobs, says what became of each, and moves the schedule past them, all
 * in one write.
 * @throws {MaiaError} BUSY, STORAGE_FULL: nothing has happened, try again.
 */
export async function accountFor(
  context: IntakeContext,
  schedule: ScheduleRow,
  plan: TickPlan,
  now: Date,
): Promise<Accounted> {
  if (plan.ticks.length === 0) return NOTHING;
  const fires = plan.ticks.some(({ outcome }) => outcome === "fire");
  return store(context, schedule, plan, fires ? await prepare(context, schedule) : null, now);
}

function store(
  { db }: IntakeContext,
  schedule: ScheduleRow,
  { ticks, nextRunAt }: TickPlan,
  job: PreparedJob | Refusal | null,
  now: Date,
): Promise<Accounted> {
  return db.write(async (tx) => {
    if (!(await advanceSchedule(tx, schedule, nextRunAt))) return { ...NOTHING, again: true };
    const jobIds: string[] = [];
    for (const tick of ticks) {
      const jobId = await storeTick(tx, schedule, tick, job, now);
      if (jobId) jobIds.push(jobId);
    }
    if (jobIds.length > 0) await noteScheduleRun(tx, schedule.id, now);
    await trimTicks(tx, schedule.id, new Date(now.getTime() - TICKS_KEPT_MS));
    const refusal = job && "code" in job ? job : null;
    return { jobIds, refusal, again: nextRunAt !== null && nextRunAt <= now };
  });
}

/** @returns the job that the instant made, if it did. */
async function storeTick(
  tx: Tx,
  schedule: ScheduleRow,
  { dueAt, lastDueAt, count, outcome }: PlannedTick,
  job: PreparedJob | Refusal | null,
  now: Date,
): Promise<string | null> {
  const scheduleId = schedule.id;
  const instant = { scheduleId, dueAt, lastDueAt, count };
  if (outcome === "missed" || job === null) {
    await insertTick(tx, { ...instant, outcome: "missed" }, now);
    return null;
  }
  if (await isAccounted(tx.sql, scheduleId, dueAt)) return null;
  if (schedule.overlap === "skip" && (await hasLiveJob(tx.sql, scheduleId))) {
    await insertTick(tx, { ...instant, outcome: "skipped" }, now);
    return null;
  }
  if ("code" in job) {
    const { code, message } = job;
    await insertTick(tx, { ...instant, outcome: "failed", failure: { code, message } }, now);
    return null;
  }
  const jobId = newId("job", now);
  const cause = { trigger: "schedule", requestedBy: schedule.createdBy, scheduleId, scheduledFor: dueAt } as const;
  await storeJob(tx, jobId, job, cause, now);
  await insertTick(tx, { ...instant, outcome: "fired", jobId }, now);
  return jobId;
}

/** A job for the schedule, or why there can be none now. What passes by itself is thrown. */
async function prepare(context: IntakeContext, schedule: ScheduleRow): Promise<PreparedJob | Refusal> {
  try {
    return await prepareJob(context, scheduledJob(schedule), [], onBehalfOf(schedule));
  } catch (error) {
    if (!isMaiaError(error)) return { code: "INTERNAL", message: "Maia could not make the job", cause: error };
    if (error.code === "BUSY" || error.code === "STORAGE_FULL") throw error;
    return { code: error.code, message: error.message };
  }
}

/** A schedule acts for whoever made it, and within its project only. */
function onBehalfOf({ createdBy, projectId }: ScheduleRow): Caller {
  return { principal: createdBy, projects: [projectId] };
}

/** The job that a schedule asks for. */
export function scheduledJob(schedule: ScheduleRow): JobRequest {
  const { workflowId, projectId, version, environmentId, runnerId, priority, params, urlFiles, labels } = schedule;
  return {
    workflow: workflowId,
    project: projectId,
    version,
    params: JSON.parse(params),
    files: [],
    urlFiles: JSON.parse(urlFiles),
    environment: environmentId,
    runner: runnerId,
    priority,
    labels: JSON.parse(labels),
  };
}

/** Disables a schedule whose row makes no sense, so that it holds up nobody, and says why (G12). */
export function setAside({ db }: IntakeContext, schedule: ScheduleRow, message: string, now: Date): Promise<boolean> {
  return db.write(async (tx) => {
    if (!(await disableSchedule(tx, schedule, now))) return false;
    const dueAt = schedule.nextRunAt ?? now;
    const failure = { code: "INTERNAL", message };
    await insertTick(
      tx,
      { scheduleId: schedule.id, dueAt, lastDueAt: dueAt, count: 1, outcome: "failed", failure },
      now,
    );
    return true;
  });
}
