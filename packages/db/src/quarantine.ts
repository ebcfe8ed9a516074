import type { RunStepStatus } from "@maia/domain";
import { endAttempt, liveAttempts } from "./attempts.js";
import { appendAudit } from "./audit.js";
import { abandonInputFiles } from "./input-files.js";
import { moveRun, moveStep, type OwnedRun, ownsRun } from "./runs.js";
import type { Tx } from "./types.js";

/**
 * Ends a run that cannot be decided about: nothing of it starts any more, and its failure says why. What was running is
 * noted as lost; the caller ends it where it runs.
 */
export async function quarantineRun(tx: Tx, run: OwnedRun, message: string, now: Date): Promise<boolean> {
  if (!(await ownsRun(tx, run))) return false;
  const steps = await tx.sql.all<{ key: string; status: RunStepStatus }>(
    `SELECT "key", "status" FROM "RunStep" WHERE "runId" = ? AND "status" IN ('PENDING', 'RUNNING')`,
    run.id,
  );
  const failure = { code: "INTERNAL" as const, message, stepKey: null };
  for (const attempt of await liveAttempts(tx.sql, run.id)) {
    const ref = { ...attempt, runId: run.id, projectId: run.projectId, epoch: run.epoch };
    await endAttempt(tx, ref, "lose", { reason: "lost", failure }, now);
  }
  await abandonInputFiles(tx, run, "the run was set aside before the file was here", now);
  for (const { key, status } of steps) await moveStep(tx, run, key, status === "PENDING" ? "skip" : "cancel", now);
  const isMoved =
    (await moveRun(tx, run, "inputFailed", now, { failure })) ||
    (await moveRun(tx, run, "stepFailed", now, { failure }));
  const entry = { actor: "engine", action: "run.quarantine", target: run.id, outcome: "ok" };
  if (isMoved) await appendAudit(tx, entry, now);
  return isMoved;
}
