import type { JobView } from "@maia/db";
import { anyObject, choice, integer, map, named, nullable, type Of, object, optional, text } from "../http/shapes.js";
import { failure, id, iso, moment, stored } from "./common.js";

export const jobStatuses = ["QUEUED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELED"] as const;

/** What of the run `originRunId` the job does again. */
const rerun = named(
  "Rerun",
  object({
    kind: choice(["whole", "from", "attempt"]),
    from: optional(text({ description: "The step that it begins with" })),
    attemptId: optional(id("att")),
    stepKey: optional(text({ description: "The attempt's step" })),
    attemptNo: optional(integer(1, 1_000_000)),
  }),
  { kind: "from", from: "summarise" },
);

export const jobRun = named(
  "JobRun",
  object({
    id: id("job"),
    project: text(),
    projectId: id("prj"),
    workflow: text(),
    workflowId: id("wf"),
    version: integer(1, 1_000_000_000),
    status: choice(jobStatuses),
    runId: nullable(id("run")),
    params: anyObject,
    priority: integer(-1_000_000, 1_000_000),
    labels: map(text(), 100),
    trigger: choice(["manual", "schedule", "batch", "rerun", "webhook"]),
    scheduleId: optional(id("sch")),
    batchId: optional(id("bat")),
    itemIndex: optional(integer(0, 1_000_000_000)),
    originRunId: optional(id("run")),
    rerun: optional(rerun),
    environment: text(),
    environmentId: id("env"),
    runnerId: nullable(text()),
    runnerName: nullable(text()),
    failure,
    cancelRequestedAt: nullable(moment),
    cancelReason: nullable(text()),
    createdAt: moment,
    startedAt: nullable(moment),
    finishedAt: nullable(moment),
  }),
  {
    id: "job_01kc1x8n4e7q2v5m9t3r6w0y1a",
    project: "default",
    projectId: "prj_01kc1x0000000000000000000a",
    workflow: "csv-report",
    workflowId: "wf_01kc1x8m0000000000000000b2",
    version: 3,
    status: "RUNNING",
    runId: "run_01kc1x8n9f2b4d6h8k0m2p4r6t",
    params: { top: 10 },
    priority: 0,
    labels: { team: "finance" },
    trigger: "manual",
    environment: "default",
    environmentId: "env_01kc1x0000000000000000000a",
    runnerId: null,
    runnerName: null,
    failure: null,
    cancelRequestedAt: null,
    cancelReason: null,
    createdAt: "2026-11-20T12:00:00.123Z",
    startedAt: "2026-11-20T12:00:00.131Z",
    finishedAt: null,
  },
);

/** A job as the API answers it. */
export function presentJob(job: JobView): Of<typeof jobRun> {
  const { scheduleId, batchId, itemIndex, originRunId } = job;
  return {
    id: job.id,
    project: job.project,
    projectId: job.projectId,
    workflow: job.workflow,
    workflowId: job.workflowId,
    version: job.version,
    status: job.status,
    runId: job.runId,
    params: stored(job.params, {}),
    priority: job.priority,
    labels: stored(job.labels, {}),
    trigger: job.trigger,
    ...(scheduleId === null ? {} : { scheduleId }),
    ...(batchId === null ? {} : { batchId }),
    ...(itemIndex === null ? {} : { itemIndex }),
    ...(originRunId === null ? {} : { originRunId }),
    ...(job.rerun === null ? {} : { rerun: JSON.parse(job.rerun) }),
    environment: job.environment,
    environmentId: job.environmentId,
    runnerId: job.runnerId,
    runnerName: job.runnerName,
    failure: job.failure === null ? null : JSON.parse(job.failure),
    cancelRequestedAt: iso(job.cancelRequestedAt),
    cancelReason: job.cancelReason,
    createdAt: iso(job.createdAt),
    startedAt: iso(job.startedAt),
    finishedAt: iso(job.finishedAt),
  };
}
