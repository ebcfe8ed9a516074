import { findJobView, type JobFilter, listJobs } from "@maia/db";
import { invalid } from "@maia/domain";
import type { CreatedJob, Upload } from "@maia/intake";
import { cancelJob, cancelRequest } from "../cancel.js";
import { deleteEndedJob } from "../delete-job.js";
import { mediaType, readJson, refuseEncoding } from "../http/body.js";
import { type Multipart, readMultipart } from "../http/multipart.js";
import { type Call, created, ok, type Route, route } from "../http/route.js";
import { choice, type JsonSchema, list, named, object, optional, text } from "../http/shapes.js";
import { idempotencyKeyOf, replayHeader } from "../idempotency.js";
import { takeJob, UploadTaker } from "../job-intake.js";
import { found, narrowedTo, ofWorkflow } from "../lookup.js";
import { inProject, inTime, madeBetween, pageOf, pageRequest, paging, partOf } from "../present/common.js";
import { jobRun, jobStatuses, presentJob } from "../present/job.js";
import { jobFiles } from "../present/job-files.js";
import { appliedWait, waitForEnd, waitOf } from "../wait.js";
import { explainJob } from "../why.js";

const jobRequest: JsonSchema = {
  type: "object",
  required: ["workflow"],
  properties: {
    workflow: { type: "string", description: "By id or by name" },
    project: { type: "string", description: "By id or by name; `default` unless given" },
    version: { type: "integer", minimum: 1, description: "The latest unless given" },
    params: { type: "object" },
    ...jobFiles,
    environment: { type: "string", description: "By id or by name" },
    runner: { type: "string", description: "By id or by name" },
    priority: { type: "integer" },
    labels: { type: "object", additionalProperties: { type: "string" } },
  },
  additionalProperties: false,
};

const multipartRequest: JsonSchema = {
  type: "object",
  required: ["request"],
  properties: { request: jobRequest, files: { type: "array", items: { type: "string", format: "binary" } } },
};

const reasons = named(
  "Why",
  object({ items: list(object({ code: text(), message: text(), action: optional(text()) }), 20_000) }),
  { items: [{ code: "NO_ENGINE", message: "No engine is running", action: "Start one: maia up, or maia engine" }] },
);

export const jobRoutes: readonly Route[] = [
  route({
    method: "post",
    path: "/v1/jobs",
    operationId: "createJob",
    summary: "Asks for a run of a workflow",
    tag: "Jobs",
    permission: "jobs.write",
    requestHeaders: {
      "Idempotency-Key": "Makes asking again safe",
      Prefer: "`wait=N`: answers when the job has ended, or after N seconds, at most 60",
    },
    streamed: {
      content: {
        "application/json": {
          schema: jobRequest,
          example: { workflow: "csv-report", params: { top: 3 }, labels: { team: "finance" } },
        },
        "multipart/form-data": { schema: multipartRequest },
      },
    },
    answers: { 201: { description: "The job", shape: jobRun, headers: { Location: "Where the job is" } } },
    handler: async (call) => {
      const key = idempotencyKeyOf(call.req);
      const waitMs = waitOf(call.req);
      const { jobId, replayed } = await readAndTake(call, key);
      if (waitMs !== null) await waitForEnd(call, jobId, waitMs);
      const job = found(await findJobView(call.context.db.sql, call.caller.projects, jobId), "job");
      return created(`/v1/jobs/${jobId}`, presentJob(job), { ...replayHeader(replayed), ...appliedWait(waitMs) });
    },
  }),
  route({
    method: "get",
    path: "/v1/jobs",
    operationId: "listJobs",
    summary: "Jobs, newest first unless asked for otherwise",
    tag: "Jobs",
    permission: "jobs.read",
    query: {
      ...paging,
      ...inProject,
      ...inTime,
      ...partOf("the workflow's name"),
      status: optional(choice(jobStatuses)),
      workflow: optional(text({ description: "By id or by name; it may be deleted" })),
      scheduleId: optional(text()),
      batchId: optional(text()),
      label: optional(text({ description: "`name=value`, or `name` for any value" })),
    },
    answers: { 200: { description: "A page of jobs", shape: pageOf(jobRun) } },
    handler: async (call) => {
      const { context, caller, query } = call;
      const { status, scheduleId, batchId } = query;
      const projectId = await narrowedTo(call, query.project);
      const workflowId = await ofWorkflow(call);
      const filter: JobFilter = {
        ...{ projectId, status, workflowId, scheduleId, batchId, q: query.q },
        made: madeBetween(query),
        label: labelOf(query.label),
      };
      const page = await listJobs(context.db, caller.projects, filter, pageRequest(query));
      return ok({ ...page, items: page.items.map(presentJob) });
    },
  }),
  route({
    method: "get",
    path: "/v1/jobs/{id}",
    operationId: "getJob",
    summary: "A job",
    tag: "Jobs",
    permission: "jobs.read",
    answers: { 200: { description: "The job", shape: jobRun } },
    handler: async ({ context, caller, params }) => {
      return ok(presentJob(found(await findJobView(context.db.sql, caller.projects, params.id), "job")));
    },
  }),
  route({
    method: "delete",
    path: "/v1/jobs/{id}",
    operationId: "deleteJob",
    summary: "Deletes a job that has ended, with its run, its logs and its artifacts",
    tag: "Jobs",
    permission: "jobs.delete",
    answers: { 204: { description: "It is gone" } },
    handler: async (call) => {
      const { context, caller, params } = call;
      await deleteEndedJob(call, found(await findJobView(context.db.sql, caller.projects, params.id), "job"));
      return { status: 204 };
    },
  }),
  route({
    method: "post",
    path: "/v1/jobs/{id}/cancel",
    operationId: "cancelJob",
    summary: "Stops a job. Asking again while it ends changes nothing",
    tag: "Jobs",
    permission: "jobs.write",
    body: cancelRequest,
    answers: { 202: { description: "It will end; the job as it is now", shape: jobRun } },
    handler: async (call) => {
      const { context, caller, params } = call;
      const { id } = found(await findJobView(context.db.sql, caller.projects, params.id), "job");
      await cancelJob(call, id, call.body.reason ?? null);
      return { status: 202, body: presentJob(found(await findJobView(context.db.sql, caller.projects, id), "job")) };
    },
  }),
  route({
    method: "get",
    path: "/v1/jobs/{id}/why",
    operationId: "explainJob",
    summary: "Why the job is where it is, what matters most first",
    tag: "Jobs",
    permission: "jobs.read",
    answers: { 200: { description: "Reasons", shape: reasons } },
    handler: async ({ context, caller, params, now }) => {
      const job = found(await findJobView(context.db.sql, caller.projects, params.id), "job");
      const { pauseAutoResumeMs } = context.config.constants;
      return ok({ items: await explainJob(context.db, job, pauseAutoResumeMs, now) });
    },
  }),
];

/** JSON, or multipart with the JSON in part `request`; files are stored while they come in, and gone if it is refused. */
async function readAndTake(call: Call, key: string | null): Promise<CreatedJob> {
  const { req, context } = call;
  if (mediaType(req).type !== "multipart/form-data")
    return takeJob(call, await readJson(req, context.config.body), [], key);
  refuseEncoding(req);
  const taker = new UploadTaker(call);
  try {
    const { request, files } = await readParts(call, taker);
    return await takeJob(call, request, files, key);
  } catch (error) {
    await taker.drop();
    throw error;
  }
}

function readParts({ req, context }: Call, taker: UploadTaker): Promise<Multipart<Upload>> {
  const { body, constants, uploadIdleMs } = context.config;
  const limits = {
    filesMax: constants.uploadFilesMax,
    jsonMaxBytes: body.maxBytes,
    depthMax: body.depthMax,
    idleMs: uploadIdleMs,
  };
  return readMultipart(req, limits, (part, signal, request) => taker.take(part, signal, request));
}

function labelOf(label: string | undefined): JobFilter["label"] {
  if (label === undefined) return undefined;
  const at = label.indexOf("=");
  const name = at < 0 ? label : label.slice(0, at);
  if (name === "") throw invalid([{ pointer: "/label", message: "must be a label's name, or name=value" }]);
  return { name, value: at < 0 ? null : label.slice(at + 1) };
}
