import { findJobView, listSchedules, listTicks, type ScheduleView } from "@maia/db";
import { tickOutcomes } from "@maia/domain";
import { ifMatch } from "../http/precondition.js";
import { created, ok, type Route, route } from "../http/route.js";
import { choice, integer, optional, text } from "../http/shapes.js";
import { replayHeader } from "../idempotency.js";
import { found, narrowedTo, ofWorkflow } from "../lookup.js";
import { inProject, pageOf, pageRequest, paging } from "../present/common.js";
import { jobRun, presentJob } from "../present/job.js";
import {
  newSchedule,
  presentSchedule,
  presentTick,
  presentUpcoming,
  schedule,
  scheduleChange,
  tick,
  upcoming,
} from "../present/schedule.js";
import {
  changeSchedule,
  makeSchedule,
  removeSchedule,
  scheduleEtag,
  scheduleOf,
  triggerSchedule,
} from "../schedules.js";

const etagHeader = { ETag: "For If-Match" };
const DEFAULT_COUNT = 5;

export const scheduleRoutes: readonly Route[] = [
  route({
    method: "get",
    path: "/v1/schedules",
    operationId: "listSchedules",
    summary: "Schedules, newest first",
    tag: "Schedules",
    permission: "schedules.read",
    query: {
      ...paging,
      ...inProject,
      workflow: optional(text({ description: "By id or by name; it may be deleted" })),
      enabled: optional(choice(["true", "false"])),
    },
    answers: { 200: { description: "A page of schedules", shape: pageOf(schedule) } },
    handler: async (call) => {
      const { context, caller, query } = call;
      const projectId = await narrowedTo(call, query.project);
      const workflowId = await ofWorkflow(call);
      const enabled = query.enabled === undefined ? undefined : query.enabled === "true";
      const filter = { projectId, workflowId, enabled };
      const page = await listSchedules(context.db.sql, caller.projects, filter, pageRequest(query));
      return ok({ ...page, items: page.items.map(presentSchedule) });
    },
  }),
  route({
    method: "post",
    path: "/v1/schedules",
    operationId: "createSchedule",
    summary: "Makes jobs of a workflow at certain times",
    tag: "Schedules",
    permission: "schedules.write",
    requestHeaders: { "Idempotency-Key": "Makes asking again safe" },
    body: {
      shape: newSchedule,
      example: {
        workflow: "csv-report",
        kind: "cron",
        cron: "30 2 * * *",
        timezone: "Europe/Berlin",
        params: { top: 10 },
      },
    },
    answers: { 201: { description: "The schedule", shape: schedule, headers: { Location: "Where it is" } } },
    handler: async (call) => {
      const { location, made } = await makeSchedule(call);
      const view = await scheduleOf(call, location.split("/").at(-1)!);
      return created(location, presentSchedule(view), { ETag: scheduleEtag(view), ...replayHeader(made === null) });
    },
  }),
  route({
    method: "get",
    path: "/v1/schedules/{id}",
    operationId: "getSchedule",
    summary: "A schedule",
    tag: "Schedules",
    permission: "schedules.read",
    answers: { 200: { description: "The schedule", shape: schedule, headers: etagHeader } },
    handler: async (call) => answer(await scheduleOf(call, call.params.id)),
  }),
  route({
    method: "patch",
    path: "/v1/schedules/{id}",
    operationId: "updateSchedule",
    summary: "Changes, enables or disables a schedule. What has come due by then is accounted for as missed",
    tag: "Schedules",
    permission: "schedules.write",
    requestHeaders: { "If-Match": "Changes nothing if somebody has changed the schedule since" },
    body: { shape: scheduleChange, example: { enabled: false } },
    answers: { 200: { description: "The schedule", shape: schedule, headers: etagHeader } },
    handler: async (call) => {
      const { id } = call.params;
      await changeSchedule(call, id, ifMatch(call.req));
      return answer(await scheduleOf(call, id));
    },
  }),
  route({
    method: "delete",
    path: "/v1/schedules/{id}",
    operationId: "deleteSchedule",
    summary: "Deletes a schedule. Its jobs stay",
    tag: "Schedules",
    permission: "schedules.write",
    requestHeaders: { "If-Match": "Does nothing if somebody has changed the schedule since" },
    answers: { 204: { description: "It is gone" } },
    handler: async (call) => {
      await removeSchedule(call, call.params.id, ifMatch(call.req));
      return { status: 204 };
    },
  }),
  route({
    method: "post",
    path: "/v1/schedules/{id}/trigger",
    operationId: "triggerSchedule",
    summary: "Makes the schedule's job now, also while it is disabled. Its instants stay where they are",
    tag: "Schedules",
    permission: "schedules.trigger",
    requestHeaders: { "Idempotency-Key": "Makes asking again safe" },
    answers: { 201: { description: "The job", shape: jobRun, headers: { Location: "Where the job is" } } },
    handler: async (call) => {
      const { location, made } = await triggerSchedule(call, call.params.id);
      const { context, caller } = call;
      const job = await findJobView(context.db.sql, caller.projects, location.split("/").at(-1)!);
      return created(location, presentJob(found(job, "job")), replayHeader(made === null));
    },
  }),
  route({
    method: "get",
    path: "/v1/schedules/{id}/upcoming",
    operationId: "listUpcoming",
    summary: "The next instants, as the scheduler will act on them; none while the schedule is disabled",
    tag: "Schedules",
    permission: "schedules.read",
    query: { count: optional(integer(1, 100, { default: DEFAULT_COUNT, description: "How many" })) },
    answers: { 200: { description: "Instants, the next one first", shape: upcoming } },
    handler: async (call) =>
      ok(presentUpcoming(await scheduleOf(call, call.params.id), call.query.count ?? DEFAULT_COUNT)),
  }),
  route({
    method: "get",
    path: "/v1/schedules/{id}/ticks",
    operationId: "listTicks",
    summary: "What became of each instant that has come due, newest first",
    tag: "Schedules",
    permission: "schedules.read",
    query: { ...paging, outcome: optional(choice(tickOutcomes)) },
    answers: { 200: { description: "A page of ticks", shape: pageOf(tick) } },
    handler: async (call) => {
      const { id } = await scheduleOf(call, call.params.id);
      const page = await listTicks(call.context.db.sql, id, call.query.outcome, pageRequest(call.query));
      return ok({ ...page, items: page.items.map(presentTick) });
    },
  }),
];

function answer(view: ScheduleView) {
  return ok(presentSchedule(view), { ETag: scheduleEtag(view) });
}
