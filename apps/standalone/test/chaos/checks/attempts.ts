import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Chaos } from "../chaos.ts";

/** What Maia has written down about an attempt; times in milliseconds since the epoch. */
export interface StoredAttempt {
  readonly runId: string;
  readonly stepKey: string;
  readonly no: number;
  readonly status: string;
  readonly reason: string | null;
  /** JSON. */
  readonly failure: string | null;
  readonly runnerId: string;
  readonly instanceId: string | null;
  /** When it left Maia; null: never. */
  readonly handedAt: number | null;
  readonly finishedAt: number;
  readonly transaction: string | null;
  readonly openedAt: number | null;
}

/** All attempts, read from the database itself since the API does not tell when a task has left. */
export function storedAttempts({ maia }: Chaos): StoredAttempt[] {
  using db = new DatabaseSync(path.join(maia.dataDir, "maia.db"), { readOnly: true, timeout: 5_000 });
  const rows = db
    .prepare(
      `SELECT a."runId", a."stepKey", a."no", a."status", a."reason", a."failure", a."runnerId", a."instanceId", a."handedAt", a."finishedAt",
              t."name" AS "transaction", t."openedAt"
       FROM "Attempt" a JOIN "Run" r ON r."id" = a."runId"
       LEFT JOIN "StepTransaction" t ON t."runId" = a."runId" AND a."stepKey" IN ('buy', 'sell', 'undo')`,
    )
    .all();
  return rows.map((row) => ({
    ...(row as unknown as StoredAttempt),
    handedAt: moment(row.handedAt),
    finishedAt: moment(row.finishedAt) ?? Number.POSITIVE_INFINITY,
    openedAt: moment(row.openedAt),
  }));
}

function moment(text: unknown): number | null {
  return typeof text === "string" ? Date.parse(text) : null;
}
