import { closeEndedTransaction, type OwnedRun, type Tx } from "@maia/db";
import type { LoadedVersion } from "@maia/tasks";

/** Closes the transactions whose steps have all ended, the one that undoes them too. To be asked once the steps have moved. */
export async function closeTransactions(
  tx: Tx,
  run: OwnedRun,
  steps: LoadedVersion["snapshot"]["steps"],
  now: Date,
): Promise<void> {
  for (const [name, group] of Map.groupBy(steps, ({ transaction }) => transaction))
    if (name) await closeEndedTransaction(tx, run, name, keysOf(group), now);
}

function keysOf(steps: readonly { readonly key: string }[]): string[] {
  return steps.map(({ key }) => key);
}
