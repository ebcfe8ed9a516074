import { closeTransaction, type OwnedRun, openTransactionsOf, type Tx } from "@maia/db";
import type { RunFacts } from "@maia/domain";
import type { LoadedVersion } from "@maia/tasks";

/** Closes the transactions whose members have all ended. */
export async function closeTransactions(
  tx: Tx,
  run: OwnedRun,
  steps: LoadedVersion["snapshot"]["steps"],
  facts: RunFacts,
  now: Date,
): Promise<void> {
  if (!steps.some(({ transaction }) => transaction)) return;
  for (const name of await openTransactionsOf(tx.sql, run.id)) {
    const members = facts.steps.filter(({ transaction, rollback }) => transaction === name && !rollback);
    if (members.every(({ status }) => status !== "PENDING" && status !== "RUNNING"))
      await closeTransaction(tx, run, name, now);
  }
}
