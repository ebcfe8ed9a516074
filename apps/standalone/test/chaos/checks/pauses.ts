import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Chaos } from "../chaos.ts";
import { nameOf } from "../ledger.ts";
import type { StoredAttempt } from "./attempts.ts";

/** A pause as Maia has written it down; times in milliseconds since the epoch. */
export interface StoredPause {
  readonly runnerId: string;
  /** When all that ran had ended; null: somebody resumed before. */
  readonly quietAt: number | null;
  readonly resumedAt: number | null;
  /** Transactions of the runner that were open when it was called quiet. */
  readonly openTransactions: number;
}

export function storedPauses({ maia }: Chaos): StoredPause[] {
  using db = new DatabaseSync(path.join(maia.dataDir, "maia.db"), { readOnly: true, timeout: 5_000 });
  const rows = db
    .prepare(
      `SELECT p."runnerId", p."quietAt", p."resumedAt",
              (SELECT COUNT(*) FROM "StepTransaction" t WHERE t."runnerId" = p."runnerId" AND t."openedAt" < p."quietAt"
                 AND COALESCE(t."closedAt", '9') > p."quietAt") AS "openTransactions"
       FROM "RunnerPause" p`,
    )
    .all() as { runnerId: string; quietAt: string | null; resumedAt: string | null; openTransactions: number }[];
  return rows.map((row) => ({ ...row, quietAt: moment(row.quietAt), resumedAt: moment(row.resumedAt) }));
}

/** A pause is quiet once nothing runs and no transaction is open, and nothing is handed over while it lasts. */
export function checkQuiet(chaos: Chaos, pauses: readonly StoredPause[], attempts: readonly StoredAttempt[]): void {
  for (const { runnerId, quietAt, resumedAt, openTransactions } of pauses) {
    if (quietAt === null) continue;
    if (openTransactions > 0) chaos.violate(`G21 runner ${runnerId} was called quiet with an open transaction`);
    for (const attempt of attempts) {
      const { handedAt, finishedAt } = attempt;
      if (attempt.runnerId !== runnerId || handedAt === null) continue;
      if (handedAt < quietAt && finishedAt > quietAt)
        chaos.violate(`G21 ${nameOf(attempt)} ran on when its runner was called quiet`);
      if (handedAt > quietAt && handedAt < (resumedAt ?? Number.POSITIVE_INFINITY))
        chaos.violate(`G21 ${nameOf(attempt)} was handed over to a runner that was paused and quiet`);
    }
  }
}

function moment(text: string | null): number | null {
  return text === null ? null : Date.parse(text);
}
