import type { BatchView } from "@maia/db";
import { choice, integer, map, named, nullable, type Of, object, optional, text } from "../http/shapes.js";
import { id, iso, moment, stored } from "./common.js";

export const batchStatuses = ["RUNNING", "PAUSED", "SUCCEEDED", "FAILED", "CANCELED"] as const;

const count = integer(0, 1_000_000_000);

export const batch = named(
  "Batch",
  object({
    id: id("bat"),
    project: text(),
    projectId: id("prj"),
    workflow: text(),
    workflowId: id("wf"),
    version: integer(1, 1_000_000_000),
    status: choice(batchStatuses),
    itemCount: count,
    counts: object(
      { waiting: count, queued: count, running: count, succeeded: count, failed: count, canceled: count },
      { description: "How the rows stand. `waiting` rows have no job yet" },
    ),
    concurrency: integer(1, 10_000, { description: "How many rows may run at once" }),
    maxFailures: nullable(integer(1, 2 ** 31 - 1, { description: "After so many failed rows the others are stopped" })),
    environment: text(),
    environmentId: id("env"),
    runnerId: nullable(text()),
    runnerName: nullable(text()),
    priority: integer(-1_000_000, 1_000_000),
    labels: map(text(), 100),
    originBatchId: optional(id("bat")),
    failure: nullable(object({ code: choice(["MAX_FAILURES", "ROWS_FAILED", "INTERNAL"]), message: text() })),
    cancelRequestedAt: nullable(moment),
    createdAt: moment,
    finishedAt: nullable(moment),
  }),
  {
    id: "bat_01kc1x8n4e7q2v5m9t3r6w0y1a",
    project: "default",
    projectId: "prj_01kc1x0000000000000000000a",
    workflow: "csv-report",
    workflowId: "wf_01kc1x8m0000000000000000b2",
    version: 3,
    status: "RUNNING",
    itemCount: 5_000,
    counts: { waiting: 3_990, queued: 2, running: 8, succeeded: 997, failed: 3, canceled: 0 },
    concurrency: 10,
    maxFailures: 50,
    environment: "default",
    environmentId: "env_01kc1x0000000000000000000a",
    runnerId: null,
    runnerName: null,
    priority: 0,
    labels: {},
    failure: null,
    cancelRequestedAt: null,
    createdAt: "2026-11-20T12:00:00.123Z",
    finishedAt: null,
  },
);

/** A batch as the API answers it. */
export function presentBatch(view: BatchView): Of<typeof batch> {
  const { itemsSha256: _, columns: __, opened, originBatchId, labels, failure, counts, ...rest } = view;
  return {
    ...rest,
    counts: { waiting: view.itemCount - opened, ...counts },
    labels: stored(labels, {}),
    ...(originBatchId === null ? {} : { originBatchId }),
    failure: failure === null ? null : JSON.parse(failure),
    cancelRequestedAt: iso(view.cancelRequestedAt),
    createdAt: iso(view.createdAt),
    finishedAt: iso(view.finishedAt),
  };
}
