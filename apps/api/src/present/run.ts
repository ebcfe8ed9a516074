import type { RunDetail, RunView, StoredAfar } from "@maia/db";
import type { FailureFacts, RunStatus } from "@maia/domain";
import {
  anyObject,
  choice,
  flag,
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
import { failure, id, iso, moment, sha256 } from "./common.js";
import { location, presentLocation } from "./location.js";
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

const attempt = named(
  "Attempt",
  object({
    id: id("att"),
    no: integer(1, 1_000_000),
    status: choice(["DISPATCHING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELED", "LOST"]),
    exitCode: nullable(integer(-2_147_483_648, 4_294_967_295)),
    signal: nullable(text()),
    reason: nullable(text()),
    failure,
    engineId: text(),
    runnerId: nullable(text()),
    instanceId: nullable(text()),
    isolation: nullable(text()),
    reused: flag({ description: "One process served several attempts" }),
    truncatedLines: integer(0, Number.MAX_SAFE_INTEGER),
    truncatedBytes: integer(0, Number.MAX_SAFE_INTEGER),
    startedAt: nullable(moment),
    finishedAt: nullable(moment),
  }),
);

const reusedFrom = named(
  "ReusedFrom",
  object(
    { runId: id("run"), attemptId: id("att"), attemptNo: integer(1, 1_000_000) },
    { description: "In a re-run: the attempt of an earlier run whose result the step has" },
  ),
);

const step = named(
  "RunStep",
  object({
    key: text(),
    name: text(),
    runtime: choice(["node", "python", "shell"]),
    deps: list(text(), 10_000),
    status: choice(["PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"]),
    nextAttemptAt: nullable(moment),
    startedAt: nullable(moment),
    finishedAt: nullable(moment),
    reusedFrom: optional(reusedFrom),
    attempts: list(attempt, 10_000),
  }),
);

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

const lastLine = object({ stream: choice(["stdout", "stderr", "system"]), line: text() });

export const cause = named(
  "FailureCause",
  object(
    {
      kind: choice(["attempt", "file"], {
        description: "An attempt of a step, or an input file that could not be had",
      }),
      stepKey: optional(text()),
      attemptId: optional(id("att")),
      attemptNo: optional(integer(1, 1_000_000)),
      attempts: optional(integer(1, 1_000_000, { description: "How many the step has had" })),
      exitCode: optional(nullable(integer(-2_147_483_648, 4_294_967_295))),
      signal: optional(nullable(text())),
      at: optional(nullable(moment)),
      lines: optional(list(lastLine, 10, { description: "The last lines of its log" })),
      fileId: optional(id("file")),
      name: optional(text()),
      url: optional(nullable(text())),
      error: optional(nullable(text())),
    },
    { description: "What failed first" },
  ),
  {
    kind: "attempt",
    stepKey: "parse",
    attemptId: "att_01kc1x8n9f2b4d6h8k0m2p4r6t",
    attemptNo: 3,
    attempts: 3,
    exitCode: 1,
    signal: null,
    at: "2026-11-20T12:00:00.523Z",
    lines: [{ stream: "stderr", line: "Error: row 7 has no amount" }],
  },
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
  const steps = new Map(snapshot.steps.map((item) => [item.key, item]));
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
    steps: detail.steps.map((row) => {
      const { name = row.key, runtime = "node", deps = [] } = steps.get(row.key) ?? {};
      return {
        key: row.key,
        name,
        runtime,
        deps,
        status: row.status as Of<typeof step>["status"],
        nextAttemptAt: iso(row.nextAttemptAt),
        startedAt: iso(row.startedAt),
        finishedAt: iso(row.finishedAt),
        ...(row.reusedAttempt === null ? {} : { reusedFrom: presentReuse(row.reusedAttempt) }),
        attempts: row.attempts.map(presentAttempt),
      };
    }),
    cancelRequestedAt: iso(detail.cancelRequestedAt),
    cancelReason: detail.cancelReason,
    createdAt: iso(detail.createdAt),
    startedAt: iso(detail.startedAt),
    finishedAt: iso(detail.finishedAt),
  };
}

function presentReuse({ id, runId, no }: { id: string; runId: string; no: number }): Of<typeof reusedFrom> {
  return { runId, attemptId: id, attemptNo: no };
}

function presentAttempt(row: RunDetail["steps"][number]["attempts"][number]): Of<typeof attempt> {
  const { id, no, exitCode, signal, reason, engineId, runnerId, instanceId, isolation, reused } = row;
  return {
    id,
    no,
    status: row.status as Of<typeof attempt>["status"],
    exitCode,
    signal,
    reason,
    failure: parsed(row.failure),
    engineId,
    runnerId,
    instanceId,
    isolation,
    reused,
    truncatedLines: row.truncatedLines,
    truncatedBytes: row.truncatedBytes,
    startedAt: iso(row.startedAt),
    finishedAt: iso(row.finishedAt),
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

function parsed<T>(text: string | null): T | null {
  return text === null ? null : (JSON.parse(text) as T);
}
