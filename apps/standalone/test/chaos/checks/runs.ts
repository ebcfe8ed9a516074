import type { Run } from "../../support/client.ts";
import type { Chaos } from "../chaos.ts";
import type { Asked } from "../load/jobs.ts";

/** How a job may end: its status, and the code of its failure. */
const LEGAL: Readonly<Record<string, readonly string[]>> = {
  parts: ["SUCCEEDED"],
  slow: ["SUCCEEDED"],
  flaky: ["SUCCEEDED"],
  trade: ["SUCCEEDED", "FAILED RUNNER_LOST", "FAILED DRAIN_TIMEOUT"],
  badTrade: ["FAILED STEP_EXIT_CODE", "FAILED RUNNER_LOST", "FAILED DRAIN_TIMEOUT"],
  fenced: ["SUCCEEDED", "FAILED RUNNER_NOT_ALLOWED"],
  canceled: ["SUCCEEDED", "CANCELED CANCELED", "CANCELED"],
};

/** How a job has ended, in words. */
export function endOf({ status, failure }: Pick<Run, "status" | "failure">): string {
  return failure ? `${status} ${failure.code}` : status;
}

/** The run of a job that has ended: legally, whole, and with each attempt accounted for. */
export function checkRun(chaos: Chaos, { id, kind }: Asked, run: Run): void {
  const where = `${kind} job ${id} (run ${run.id})`;
  if (!LEGAL[kind]!.includes(endOf(run)))
    chaos.violate(`G1 ${where} ended ${endOf(run)}: ${run.failure?.message} at ${run.failure?.stepKey}`);
  for (const { key, status, attempts } of run.steps) {
    if (attempts.some(({ no }, i) => no !== i + 1))
      chaos.violate(`G11 ${where} step ${key} has attempts ${attempts.map(({ no }) => no)}`);
    const good = attempts.filter((attempt) => attempt.status === "SUCCEEDED").length;
    if (good !== (status === "SUCCEEDED" ? 1 : 0))
      chaos.violate(`G9 ${where} step ${key} is ${status}, and succeeded ${good} times`);
  }
  if (kind === "parts" && run.status === "SUCCEEDED" && run.outputs?.words !== 1_500)
    chaos.violate(`G20 ${where} counted ${JSON.stringify(run.outputs)}`);
  if (kind === "trade" || kind === "badTrade") checkTrade(chaos, where, run);
}

/** A job that ended before an engine had claimed it: some may. */
export function checkUnclaimed(chaos: Chaos, { id, kind }: Asked, job: Pick<Run, "status" | "failure">): void {
  const mayBe = kind === "canceled" || kind === "fenced";
  if (!mayBe || !LEGAL[kind]!.includes(endOf(job)))
    chaos.violate(`G1 ${kind} job ${id} ended ${endOf(job)} without a run`);
}

/** A transaction: its members on one instance, each tried once, and undone where it did not come to its end. */
function checkTrade(chaos: Chaos, where: string, run: Run): void {
  const members = run.steps.filter(({ key }) => key === "buy" || key === "sell");
  const attempts = members.flatMap((member) => member.attempts) as unknown as {
    instanceId: string | null;
    startedAt: string | null;
  }[];
  const instances = new Set(attempts.flatMap(({ instanceId }) => instanceId ?? []));
  if (instances.size > 1) chaos.violate(`G21 ${where} has its transaction on ${instances.size} instances`);
  if (members.some((member) => member.attempts.length > 1)) chaos.violate(`G21 ${where} tried a member twice`);
  const undo = run.steps.find(({ key }) => key === "undo")!;
  const isBroken = attempts.length > 0 && members.some(({ status }) => status !== "SUCCEEDED");
  const expected = isBroken ? "SUCCEEDED" : "SKIPPED";
  if (undo.status !== expected) chaos.violate(`G21 ${where} ended ${endOf(run)}, and its rollback is ${undo.status}`);
}
