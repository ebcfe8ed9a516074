import { findJobView, type Tx } from "@maia/db";
import { parseRerunRequest, rerunRun } from "@maia/intake";
import { audited } from "../audited.js";
import { created, type Route, route } from "../http/route.js";
import { type JsonSchema, passedOn } from "../http/shapes.js";
import { idempotencyKeyOf, replayHeader } from "../idempotency.js";
import { intakeContext } from "../job-intake.js";
import { found } from "../lookup.js";
import { jobRun, presentJob } from "../present/job.js";

const rerunRequest: JsonSchema = {
  type: "object",
  description:
    "`{}` does the whole run again, also with other `params`; `from` begins with a step and reuses the results of other finished ones; `attemptId` does one attempt again with the input that it had",
  properties: {
    params: { type: "object", description: "Only where the whole run is done again" },
    from: { type: "string", description: "The key of a step" },
    attemptId: { type: "string", description: "An attempt of the run" },
  },
  additionalProperties: false,
};

export const rerunRoutes: readonly Route[] = [
  route({
    method: "post",
    path: "/v1/runs/{id}/rerun",
    operationId: "rerunRun",
    summary: "Does a run that has ended again: whole, from a step on, or one attempt",
    tag: "Runs",
    permission: "runs.write",
    requestHeaders: { "Idempotency-Key": "Makes asking again safe" },
    body: { shape: { ...passedOn(rerunRequest), name: "RerunRequest" }, example: { params: { top: 3 } } },
    answers: { 201: { description: "The new job", shape: jobRun, headers: { Location: "Where the job is" } } },
    handler: async (call) => {
      const { context, caller, params, body, req, now } = call;
      const { blobs } = context;
      const intake = { ...intakeContext(context), touchBlob: (sha256: string) => blobs.touch(sha256) };
      const who = {
        principal: caller.id,
        projects: caller.projects,
        onMade: (tx: Tx, jobId: string) => audited(tx, call, "run.rerun", params.id, { jobId }),
      };
      const request = parseRerunRequest(body);
      const { jobId, replayed } = await rerunRun(intake, params.id, request, who, idempotencyKeyOf(req), now);
      const job = found(await findJobView(context.db.sql, caller.projects, jobId), "job");
      return created(`/v1/jobs/${jobId}`, presentJob(job), replayHeader(replayed));
    },
  }),
];
