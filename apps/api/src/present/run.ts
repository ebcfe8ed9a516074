import type { RunDetail, RunView, StoredAfar } from "@maia/db";
import type { FailureFacts, RunStatus } from "@maia/domain";
import {
  anyObject,
  choice,
  integer,
  list,
  map,
  named,
  nullable,
  type Of,
  object,
  optional,
  text,
} from "../http/shapes.js";
import { failure, id, iso, moment, parsed, sha256 } from "./common.js";
import { cause } from "./failure-cause.js";
import { location, presentLocation } from "./location.js";
import { presentStep, step } from "./run-step.js";
import { readableSnapshot } from "./snapshot.js";

export const runStatuses = ["PENDING_INPUTS", "RUNNING", "SUCCEEDED", "FAILED", "CANCELED"] as const;

const summaryFields = {
  id: id("run"),
  jobId: id("job"),
  project: text(),
  projectId: id("prj"),
  workflow: text(),
  workflowId: id("wf"),
  version: integer(1, 1_000_000_000),
  snapHash: sha256,
  status: choice(runStatuses),
  failure,
  engineId: text(),
  cancelRequestedAt: nullable(moment),
  cancelReason: nullable(text()),
  createdAt: moment,
  startedAt: nullable(moment),
  finishedAt: nullable(moment),
} as const;

export const runSummary = named("RunSummary", object(summaryFields));

const inputFile = named(
  "InputFile",
  object({
    id: id("file"),
    name: text(),
    source: choice(["upload", "url"]),
    status: choice(["FETCHING", "READY", "FAILED"]),
    url: optional(text()),
    sha256: nullable(sha256),
    mime: nullable(text()),
    sizeBytes: nullable(integer(0, Number.MAX_SAFE_INTEGER)),
    error: nullable(text()),
    location,
  }),
);

const failureWithCause = nullable(
  object({ code: text(), message: text(), stepKey: optional(nullable(text())), cause: optional(nullable(cause)) }),
);

export const run = named(
  "Run",
  object({
    ...summaryFields,
    failure: failureWithCause,
    originRunId: optional(id("run")),
    environment: text(),
    environmentId: id("env"),
    initialInput: anyObject,
    inputs: list(inputFile, 1_000),
    outputs: nullable(map(anyValue(), 1_000)),
    steps: list(step, 10_000),
  }),
);

function anyValue() {
  return { schema: {}, read: (at: { value: unknown }) => at.value };
}

/** A run in a list. */
export function presentRunSummary(view: RunView): Of<typeof runSummary> {
  return {
    ...view,
    failure: parsed(view.failure),
    cancelRequestedAt: iso(view.cancelRequestedAt),
    createdAt: iso(view.createdAt),
    startedAt: iso(view.startedAt),
    finishedAt: iso(view.finishedAt),
  };
}

/** A run as the API answers it. What a step is called and needs comes from the snapshot that the run executes. */
export function presentRun(detail: RunDetail, came: Of<typeof cause> | null): Of<typeof run> {
  const { job, version } = detail;
  const snapshot = readableSnapshot(version.workflowSnap);
  const defined = new Map(snapshot.steps.map((step) => [step.key, step]));
  return {
    id: detail.id,
    jobId: detail.jobRunId,
    project: job.project.name,
    projectId: detail.projectId,
    workflow: job.workflow.slug,
    workflowId: detail.workflowId,
    version: version.version,
    snapHash: version.snapHash,
    status: detail.status as RunStatus,
    ...(job.originRunId === null ? {} : { originRunId: job.originRunId }),
    environment: job.environment.name,
    environmentId: job.environmentId,
    initialInput: JSON.parse(detail.initialInput),
    inputs: job.files.map((file) => presentInputFile(file, detail.filesAfar.get(file.id))),
    outputs: parsed(detail.outputs),
    failure: detail.failure === null ? null : { ...(JSON.parse(detail.failure) as FailureFacts), cause: came },
    engineId: detail.ownerId,
    steps: detail.steps.map((row) => presentStep(row, defined.get(row.key))),
    cancelRequestedAt: iso(detail.cancelRequestedAt),
    cancelReason: detail.cancelReason,
    createdAt: iso(detail.createdAt),
    startedAt: iso(detail.startedAt),
    finishedAt: iso(detail.finishedAt),
  };
}

function presentInputFile(row: RunDetail["job"]["files"][number], afar: StoredAfar | undefined): Of<typeof inputFile> {
  return {
    id: row.id,
    name: row.name,
    source: row.source as Of<typeof inputFile>["source"],
    status: row.status as Of<typeof inputFile>["status"],
    ...(row.url === null ? {} : { url: row.url }),
    sha256: row.sha256,
    mime: row.mime,
    sizeBytes: row.sizeBytes === null ? null : Number(row.sizeBytes),
    error: row.error,
    location: presentLocation(afar),
  };
}
