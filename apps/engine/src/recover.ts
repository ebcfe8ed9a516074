import { type Db, liveAttempts } from "@maia/db";
import { lost } from "@maia/record";
import { inputText } from "@maia/tasks";
import type { Afar } from "./afar.js";
import { type Carrier, LOCAL_LEDGER } from "./carrier.js";
import type { InHand } from "./flights.js";
import type { Slots } from "./slots.js";

/**
 * Finds out what became of the attempts of a run that was adopted. An engine's own processes ended with it, so those
 * attempts are lost; a runner still has its own, and is asked for the rest of their frames under the new epoch.
 */
export async function recoverRun(
  db: Db,
  { carrier, afar }: { readonly carrier: Carrier; readonly afar: Afar },
  slots: Slots,
  inHand: InHand,
): Promise<void> {
  const { run, version } = inHand;
  for (const attempt of await liveAttempts(db.sql, run.id)) {
    const { id, stepKey, no, token, lastSeq, seqBase } = attempt;
    const ref = { id, runId: run.id, projectId: run.projectId, stepKey, no, epoch: run.epoch };
    if (attempt.instanceId !== null) {
      const at = { instanceId: attempt.instanceId, isOffered: attempt.offeredAt !== null };
      afar.follow(inHand, ref, at, lastSeq);
      continue;
    }
    slots.take();
    if (attempt.ledgerId?.startsWith(LOCAL_LEDGER)) {
      await carrier.lose(inHand, ref, lost("The engine that ran the step ended while it ran"));
      continue;
    }
    const deps = version.snapshot.steps.find((step) => step.key === stepKey)?.deps ?? [];
    const input = await inputText(db, run.id, stepKey, no, deps);
    carrier.carry(inHand, { ref, token, input, ledgerId: attempt.ledgerId ?? "" }, { lastSeq, seqBase });
    if (attempt.stopRequestedAt !== null) carrier.cancel(id, "stop");
  }
}
