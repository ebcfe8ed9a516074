import { type Db, type RunDetail, readLogLines } from "@maia/db";
import type { FailureFacts } from "@maia/domain";
import type { Of } from "./http/shapes.js";
import type { cause } from "./present/failure-cause.js";

/** How many lines of its log a failed attempt is shown with. */
const LINES = 10;
const LINE_MAX_CHARS = 1_000;

type Cause = Of<typeof cause>;

/** What a run's failure came from: the attempt that was its step's last, or the file that could not be had. */
export async function causeOf(db: Db, run: RunDetail): Promise<Cause | null> {
  const failure: FailureFacts | null = run.failure === null ? null : JSON.parse(run.failure);
  if (failure?.code === "INPUT_DOWNLOAD_FAILED") return causeInFiles(run);
  const step = run.steps.find(({ key }) => key === failure?.stepKey);
  const last = step?.attempts.at(-1);
  if (!step || !last) return null;
  const { id, no, exitCode, signal, finishedAt } = last;
  const at = finishedAt?.toISOString() ?? null;
  const attempt = {
    stepKey: step.key,
    attemptId: id,
    attemptNo: no,
    attempts: step.attempts.length,
    exitCode,
    signal,
    at,
  };
  return { kind: "attempt", ...attempt, lines: await lastLines(db, run.id, step.key, no) };
}

function causeInFiles({ job }: RunDetail): Cause | null {
  const file = job.files.find(({ status, error }) => status === "FAILED" && error !== null);
  return file ? { kind: "file", fileId: file.id, name: file.name, url: file.url, error: file.error } : null;
}

async function lastLines(db: Db, runId: string, stepKey: string, attemptNo: number) {
  const query = { runId, stepKey, attemptNo, limit: LINES, order: "desc" } as const;
  const { items } = await readLogLines(db, query);
  const lines = items.filter((item) => item.attemptNo === attemptNo).reverse();
  return lines.map(({ stream, line }) => ({ stream, line: line.slice(0, LINE_MAX_CHARS).toWellFormed() }));
}
