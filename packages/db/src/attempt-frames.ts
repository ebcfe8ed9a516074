import type { AttemptStatus } from "@maia/domain";
import type { AttemptRef } from "./attempts.js";
import type { Tx } from "./types.js";

/** How an attempt stands for who records its frames. Null: it is not ours any more. */
export interface AttemptState {
  readonly status: AttemptStatus;
  readonly lastSeq: number;
  readonly hasOutput: boolean;
  /** What its log holds, as `FrameFacts.logSize` counts it. */
  readonly logSize: number;
}

export async function readAttemptState(tx: Tx, attempt: AttemptRef): Promise<AttemptState | null> {
  const row = await tx.sql.get<{ status: AttemptStatus; lastSeq: number; hasOutput: number; logSize: number }>(
    `SELECT "status", "lastSeq", "output" IS NOT NULL AS "hasOutput", "logSize" FROM "Attempt" WHERE "id" = ? AND "epoch" = ?`,
    attempt.id,
    attempt.epoch,
  );
  return row ? { ...row, hasOutput: row.hasOutput === 1 } : null;
}

/** What frames leave on an attempt's row besides events. */
export interface FrameFacts {
  readonly output?: string;
  readonly truncatedLines?: number;
  readonly truncatedBytes?: number;
  /** What the log has grown by: characters, each line counting one more for its end. */
  readonly logSize?: number;
}

/** As far as the columns count. Source: Prisma's Int. */
const COUNT_MAX = 2_147_483_647;

/** Moves `lastSeq` from where we believe it is. False: somebody else recorded meanwhile, so look again. */
export async function advanceSeq(
  tx: Tx,
  attempt: AttemptRef,
  from: number,
  to: number,
  facts: FrameFacts,
): Promise<boolean> {
  const changed = await tx.sql.run(
    `UPDATE "Attempt" SET "lastSeq" = ?, "output" = COALESCE(?, "output"), "truncatedLines" = MIN("truncatedLines" + ?, ${COUNT_MAX}),
       "truncatedBytes" = MIN("truncatedBytes" + ?, ${COUNT_MAX}), "logSize" = "logSize" + ?
     WHERE "id" = ? AND "epoch" = ? AND "lastSeq" = ?`,
    to,
    facts.output ?? null,
    facts.truncatedLines ?? 0,
    facts.truncatedBytes ?? 0,
    facts.logSize ?? 0,
    attempt.id,
    attempt.epoch,
    from,
  );
  return changed === 1;
}

/** Notes that all lines so far are Maia's own. */
export async function setSeqBase(tx: Tx, attempt: AttemptRef): Promise<void> {
  const text = `UPDATE "Attempt" SET "seqBase" = "lastSeq" WHERE "id" = ? AND "epoch" = ?`;
  await tx.sql.run(text, attempt.id, attempt.epoch);
}
