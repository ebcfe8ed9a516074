import type { RunDetail } from "@maia/db";
import type { StepSnapshot } from "@maia/domain";
import { choice, flag, integer, list, named, nullable, type Of, object, optional, text } from "../http/shapes.js";
import { failure, id, iso, moment, parsed } from "./common.js";

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

export const step = named(
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

type StepRow = RunDetail["steps"][number];

/** A step of a run; what it is called and needs comes from its definition, where that can be read. */
export function presentStep(row: StepRow, defined: StepSnapshot | undefined): Of<typeof step> {
  const { name = row.key, runtime = "node", deps = [] } = defined ?? {};
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
}

function presentReuse({ id, runId, no }: { id: string; runId: string; no: number }): Of<typeof reusedFrom> {
  return { runId, attemptId: id, attemptNo: no };
}

function presentAttempt(row: StepRow["attempts"][number]): Of<typeof attempt> {
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
