import type { ScheduleView, TickView } from "@maia/db";
import { misfires, overlaps, scheduleKinds, tickOutcomes, upcomingInstants, wallTime } from "@maia/domain";
import type { ScheduleDocument } from "@maia/intake";
import {
  anyObject,
  choice,
  flag,
  integer,
  type JsonSchema,
  list,
  map,
  named,
  nullable,
  type Of,
  object,
  passedOn,
  text,
} from "../http/shapes.js";
import { id, iso, moment, stored } from "./common.js";

const count = integer(1, Number.MAX_SAFE_INTEGER);

export const schedule = named(
  "Schedule",
  object({
    id: id("sch"),
    name: nullable(text()),
    project: text(),
    projectId: id("prj"),
    workflow: text(),
    workflowId: id("wf"),
    version: nullable(integer(1, 1_000_000_000, { description: "Null: the latest when the job is made" })),
    kind: choice(scheduleKinds),
    cron: nullable(text()),
    intervalMs: nullable(count),
    timezone: text(),
    misfire: choice(misfires),
    catchUpLimit: count,
    overlap: choice(overlaps),
    enabled: flag(),
    params: anyObject,
    urlFiles: list(object({ url: text(), name: text() }), 1_000),
    environment: nullable(text({ description: "Null: `default`" })),
    environmentId: nullable(id("env")),
    runnerId: nullable(text()),
    runnerName: nullable(text()),
    priority: integer(-1_000_000, 1_000_000),
    labels: map(text(), 100),
    nextRunAt: nullable(moment),
    lastRunAt: nullable(text({ format: "date-time", description: "When it last made a job" })),
    lastTick: nullable(object({ dueAt: moment, outcome: choice(tickOutcomes), jobId: nullable(id("job")) })),
    createdBy: text(),
    createdAt: moment,
    updatedAt: moment,
  }),
  {
    id: "sch_01kc1x8n4e7q2v5m9t3r6w0y1a",
    name: "Nightly report",
    project: "default",
    projectId: "prj_01kc1x0000000000000000000a",
    workflow: "csv-report",
    workflowId: "wf_01kc1x8m0000000000000000b2",
    version: null,
    kind: "cron",
    cron: "30 2 * * *",
    intervalMs: null,
    timezone: "Europe/Berlin",
    misfire: "fire_once",
    catchUpLimit: 100,
    overlap: "skip",
    enabled: true,
    params: { top: 10 },
    urlFiles: [{ url: "https://example.org/sales.csv", name: "sales.csv" }],
    environment: null,
    environmentId: null,
    runnerId: null,
    runnerName: null,
    priority: 0,
    labels: { team: "finance" },
    nextRunAt: "2026-11-21T01:30:00.000Z",
    lastRunAt: "2026-11-20T01:30:00.123Z",
    lastTick: { dueAt: "2026-11-20T01:30:00.000Z", outcome: "fired", jobId: "job_01kc1x8n4e7q2v5m9t3r6w0y1a" },
    createdBy: "key_01kc1x0000000000000000000a",
    createdAt: "2026-11-19T12:00:00.123Z",
    updatedAt: "2026-11-19T12:00:00.123Z",
  },
);

export const tick = named(
  "ScheduleTick",
  object({
    dueAt: moment,
    lastDueAt: text({
      format: "date-time",
      description: "The same as dueAt, unless this is a long row of missed ones",
    }),
    count: integer(1, Number.MAX_SAFE_INTEGER, { description: "How many instants this is" }),
    outcome: choice(tickOutcomes),
    jobId: nullable(id("job")),
    failure: nullable(object({ code: text(), message: text() })),
    accountedAt: moment,
  }),
);

export const upcoming = named(
  "UpcomingInstants",
  object({
    timezone: text(),
    items: list(
      object({ dueAt: moment, localTime: text({ description: "What a clock in the time zone shows" }) }),
      100,
    ),
  }),
  {
    timezone: "Europe/Berlin",
    items: [{ dueAt: "2026-11-21T01:30:00.000Z", localTime: "2026-11-21T02:30:00+01:00" }],
  },
);

/** What a change may name; a new schedule also says which workflow. Intake checks the values. */
const changeable = {
  name: { type: ["string", "null"] },
  version: { type: ["integer", "null"], minimum: 1, description: "The latest unless given" },
  kind: { enum: scheduleKinds },
  cron: {
    type: ["string", "null"],
    description: "Five fields: minute, hour, day of the month, month, day of the week. For kind cron",
  },
  intervalMs: { type: ["integer", "null"], minimum: 1_000, description: "For kind interval" },
  timezone: { type: "string", description: "An IANA name; UTC unless given" },
  misfire: { enum: misfires, description: "What becomes of instants that nobody acted on; fire_once unless given" },
  catchUpLimit: { type: "integer", minimum: 1, maximum: 100, description: "Most jobs at once for misfire catch_up" },
  overlap: { enum: overlaps, description: "Whether it fires while an earlier job has not ended; skip unless given" },
  enabled: { type: "boolean" },
  params: { type: "object" },
  urlFiles: {
    type: "array",
    description: "Files that Maia downloads for each job",
    items: { type: "object", required: ["url"], properties: { url: { type: "string" }, name: { type: "string" } } },
  },
  environment: { type: ["string", "null"], description: "By id or by name" },
  runner: { type: ["string", "null"], description: "By id or by name" },
  priority: { type: "integer" },
  labels: { type: "object", additionalProperties: { type: "string" } },
} as const satisfies JsonSchema;

export const newSchedule = {
  ...passedOn({
    type: "object",
    required: ["workflow", "kind"],
    properties: {
      workflow: { type: "string", description: "By id or by name" },
      project: { type: "string", description: "By id or by name; `default` unless given" },
      ...changeable,
    },
    additionalProperties: false,
  }),
  name: "NewScheduleRequest",
};

export const scheduleChange = {
  ...passedOn({ type: "object", properties: changeable, additionalProperties: false }),
  name: "ScheduleChangeRequest",
};

/** A schedule as the API answers it. */
export function presentSchedule(view: ScheduleView): Of<typeof schedule> {
  const { lastTick } = view;
  return {
    id: view.id,
    name: view.name,
    project: view.project,
    projectId: view.projectId,
    workflow: view.workflow,
    workflowId: view.workflowId,
    version: view.version,
    kind: view.kind,
    cron: view.cron,
    intervalMs: view.intervalMs,
    timezone: view.timezone,
    misfire: view.misfire,
    catchUpLimit: view.catchUpLimit,
    overlap: view.overlap,
    enabled: view.enabled,
    params: stored(view.params, {}),
    urlFiles: stored(view.urlFiles, []),
    environment: view.environment,
    environmentId: view.environmentId,
    runnerId: view.runnerId,
    runnerName: view.runnerName,
    priority: view.priority,
    labels: stored(view.labels, {}),
    nextRunAt: iso(view.nextRunAt),
    lastRunAt: iso(view.lastRunAt),
    lastTick: lastTick && { ...lastTick, dueAt: iso(lastTick.dueAt) },
    createdBy: view.createdBy,
    createdAt: iso(view.createdAt),
    updatedAt: iso(view.updatedAt),
  };
}

/** The schedule as somebody would ask for it, to change it from there. */
export function asRequest(view: ScheduleView): ScheduleDocument {
  const { name, version, kind, cron, intervalMs, timezone, misfire, catchUpLimit, overlap, enabled, priority } = view;
  return {
    workflow: view.workflowId,
    project: view.projectId,
    ...{ name, version, kind, cron, intervalMs, timezone, misfire, catchUpLimit, overlap, enabled, priority },
    params: JSON.parse(view.params),
    urlFiles: JSON.parse(view.urlFiles),
    environment: view.environmentId,
    runner: view.runnerId,
    labels: JSON.parse(view.labels),
  };
}

export function presentTick(view: TickView): Of<typeof tick> {
  return {
    dueAt: iso(view.dueAt),
    lastDueAt: iso(view.lastDueAt),
    count: view.count,
    outcome: view.outcome,
    jobId: view.jobId,
    failure: view.failure === null ? null : JSON.parse(view.failure),
    accountedAt: iso(view.accountedAt),
  };
}

/** When a schedule comes due next, in UTC and as its own clock shows it. */
export function presentUpcoming(view: ScheduleView, count: number): Of<typeof upcoming> {
  const { timezone } = view;
  const items = upcomingInstants(view, count).map((at) => ({ dueAt: iso(at), localTime: wallTime(timezone, at) }));
  return { timezone, items };
}
