import type { Run } from "../../support/client.ts";
import type { Sink } from "../../support/sink.ts";
import type { Job, Trial } from "../trial.ts";

export interface Figures {
  readonly ended: Record<string, number>;
  readonly starts: number;
  readonly lostAttempts: number;
}

/** Every job there is was asked for, has a run of its own, and no attempt of it was started twice. */
export async function checkRuns(trial: Trial, sink: Sink, accounted: readonly string[]): Promise<Figures> {
  const jobs = await trial.list<Job>("/v1/jobs");
  checkJobs(trial, jobs, accounted);
  const ended: Record<string, number> = {};
  let lostAttempts = 0;
  for (const { status, runId } of jobs) {
    ended[status] = (ended[status] ?? 0) + 1;
    if (runId === null) continue; // a row that was canceled before its turn
    const run = await trial.read<Run>(`/v1/runs/${runId}`);
    lostAttempts += checkSteps(trial, run);
    await checkLogs(trial, run);
  }
  for (const double of sink.doubles()) trial.violate(`G6 attempt ${double} started twice`);
  return { ended, starts: sink.entries.length, lostAttempts };
}

function checkJobs(trial: Trial, jobs: readonly Job[], accounted: readonly string[]): void {
  const known = new Set(jobs.map(({ id }) => id));
  const wanted = new Set(accounted);
  if (wanted.size !== accounted.length) trial.violate("G2 two requests have the same job");
  for (const id of wanted) if (!known.has(id)) trial.violate(`G1 job ${id} was acked and is not there`);
  for (const { id, trigger } of jobs)
    if (!wanted.has(id)) trial.violate(`G2 nobody has asked for job ${id} (${trigger})`);
  const runs = jobs.flatMap(({ runId }) => runId ?? []);
  if (new Set(runs).size !== runs.length) trial.violate(`G3 ${runs.length} jobs have ${new Set(runs).size} runs`);
  for (const { id, status } of jobs)
    if (!["SUCCEEDED", "FAILED", "CANCELED"].includes(status)) trial.violate(`G13 job ${id} is ${status} for ever`);
}

/** @returns how many attempts were lost */
function checkSteps(trial: Trial, run: Run): number {
  let lost = 0;
  for (const { key, status, attempts, ...step } of run.steps) {
    const numbers = attempts.map(({ no }) => no);
    if (numbers.some((no, i) => no !== i + 1)) trial.violate(`G11 run ${run.id} step ${key} has attempts ${numbers}`);
    lost += attempts.filter((attempt) => attempt.status === "LOST").length;
    const good = attempts.filter((attempt) => attempt.status === "SUCCEEDED").length;
    if (status === "SUCCEEDED" && good !== ("reusedFrom" in step ? 0 : 1))
      trial.violate(`G9 run ${run.id} step ${key} succeeded ${good} times`);
    for (const { no, status } of attempts)
      if (status === "DISPATCHING" || status === "RUNNING")
        trial.violate(`G13 run ${run.id} step ${key} attempt ${no} is ${status} for ever`);
  }
  return lost;
}

async function checkLogs(trial: Trial, run: Run): Promise<void> {
  const attempts = new Map<string, number[]>();
  for (const { stepKey, attemptNo, seq } of await trial.client.logs(run.id)) {
    const key = `${stepKey}#${attemptNo}`;
    attempts.set(key, [...(attempts.get(key) ?? []), seq]);
  }
  for (const [attempt, seqs] of attempts)
    if (seqs.some((seq, i) => i > 0 && seq <= seqs[i - 1]!))
      trial.violate(`G14 run ${run.id} ${attempt} repeats or reorders lines`);
}
