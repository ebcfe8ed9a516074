import { findRunDetail, findRunHead, listRuns } from "@maia/db";
import { cancelJob, cancelRequest } from "../cancel.js";
import { deleteEndedJob } from "../delete-job.js";
import { causeOf } from "../failure-cause.js";
import { type Call, ok, type Route, route } from "../http/route.js";
import { choice, optional, text } from "../http/shapes.js";
import { found, narrowedTo, ofWorkflow } from "../lookup.js";
import { inProject, inTime, madeBetween, pageOf, pageRequest, paging, partOf } from "../present/common.js";
import { presentRun, presentRunSummary, run, runStatuses, runSummary } from "../present/run.js";

export const runRoutes: readonly Route[] = [
  route({
    method: "get",
    path: "/v1/runs",
    operationId: "listRuns",
    summary: "Runs, newest first unless asked for otherwise",
    tag: "Runs",
    permission: "runs.read",
    query: {
      ...paging,
      ...inProject,
      ...inTime,
      ...partOf("the workflow's name"),
      status: optional(choice(runStatuses)),
      workflow: optional(text({ description: "By id or by name; it may be deleted" })),
    },
    answers: { 200: { description: "A page of runs", shape: pageOf(runSummary) } },
    handler: async (call) => {
      const { context, caller, query } = call;
      const projectId = await narrowedTo(call, query.project);
      const workflowId = await ofWorkflow(call);
      const page = await listRuns(
        context.db,
        caller.projects,
        { projectId, status: query.status, workflowId, q: query.q, made: madeBetween(query) },
        pageRequest(query),
      );
      return ok({ ...page, items: page.items.map(presentRunSummary) });
    },
  }),
  route({
    method: "get",
    path: "/v1/runs/{id}",
    operationId: "getRun",
    summary: "A run with its steps and their attempts",
    tag: "Runs",
    permission: "runs.read",
    answers: { 200: { description: "The run", shape: run } },
    handler: async (call) => ok(await shownRun(call, call.params.id)),
  }),
  route({
    method: "delete",
    path: "/v1/runs/{id}",
    operationId: "deleteRun",
    summary: "Deletes a run that has ended, with its job, its logs and its artifacts",
    tag: "Runs",
    permission: "jobs.delete",
    answers: { 204: { description: "It is gone" } },
    handler: async (call) => {
      const { context, caller, params } = call;
      const { id, jobId } = found(await findRunHead(context.db, caller.projects, params.id), "run");
      await deleteEndedJob(call, { id: jobId, runId: id });
      return { status: 204 };
    },
  }),
  route({
    method: "post",
    path: "/v1/runs/{id}/cancel",
    operationId: "cancelRun",
    summary: "Stops a run. Asking again while it ends changes nothing",
    tag: "Runs",
    permission: "runs.write",
    body: cancelRequest,
    answers: { 202: { description: "It will end; the run as it is now", shape: run } },
    handler: async (call) => {
      const { context, caller, params } = call;
      const { jobId } = found(await findRunHead(context.db, caller.projects, params.id), "run");
      await cancelJob(call, jobId, call.body.reason ?? null);
      return { status: 202, body: await shownRun(call, params.id) };
    },
  }),
];

/** A run as it is now, with what its failure came from. @throws {MaiaError} NOT_FOUND */
async function shownRun({ context, caller }: Call, id: string) {
  const detail = found(await findRunDetail(context.db, caller.projects, id), "run");
  return presentRun(detail, await causeOf(context.db, detail));
}
