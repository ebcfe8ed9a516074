import type { InstanceFacts, PauseFacts, RunnerFacts } from "@maia/domain";
import { fromDbTime } from "./time.js";
import type { Sql } from "./types.js";

/** The facts that a runner's status follows from. */
export async function readRunnerFacts(sql: Sql, runnerId: string): Promise<RunnerFacts> {
  const [pause, inFlight, openTransactions, instances] = await Promise.all([
    newestPause(sql, runnerId),
    countInFlight(sql, runnerId),
    countOpenTransactions(sql, runnerId),
    sql.all<InstanceTimes>(
      `SELECT "helloAt", "silentAt", "stoppingAt", "stoppedAt" FROM "RunnerInstance" WHERE "runnerId" = ?`,
      runnerId,
    ),
  ]);
  return { pause, inFlight, openTransactions, instances: instances.map(instanceFacts) };
}

/** A pause with its id. */
export interface StoredPause extends PauseFacts {
  readonly id: string;
}

/** The last pause of a runner, over or not. */
export async function newestPause(sql: Sql, runnerId: string): Promise<StoredPause | null> {
  const row = await sql.get<{ id: string; requestedAt: string; quietAt: string | null; resumedAt: string | null }>(
    `SELECT "id", "requestedAt", "quietAt", "resumedAt" FROM "RunnerPause" WHERE "runnerId" = ? ORDER BY "id" DESC LIMIT 1`,
    runnerId,
  );
  if (!row) return null;
  const { id, requestedAt, quietAt, resumedAt } = row;
  return { id, requestedAt: fromDbTime(requestedAt), quietAt: timeOf(quietAt), resumedAt: timeOf(resumedAt) };
}

/** Attempts of a runner that may run: all that have left Maia, and those of the engine's own execution. */
export async function countInFlight(sql: Sql, runnerId: string): Promise<number> {
  const row = await sql.get<{ count: number }>(
    `SELECT COUNT(*) AS "count" FROM "Attempt" WHERE "status" IN ('DISPATCHING', 'RUNNING') AND "runnerId" = ?
       AND ("instanceId" IS NULL OR "handedAt" IS NOT NULL)`,
    runnerId,
  );
  return row?.count ?? 0;
}

/** Transactions of a runner of which not all members have ended. */
export async function countOpenTransactions(sql: Sql, runnerId: string): Promise<number> {
  const row = await sql.get<{ count: number }>(
    `SELECT COUNT(*) AS "count" FROM "StepTransaction" WHERE "runnerId" = ? AND "closedAt" IS NULL`,
    runnerId,
  );
  return row?.count ?? 0;
}

interface InstanceTimes {
  readonly helloAt: string;
  readonly silentAt: string | null;
  readonly stoppingAt: string | null;
  readonly stoppedAt: string | null;
}

function instanceFacts({ helloAt, silentAt, stoppingAt, stoppedAt }: InstanceTimes): InstanceFacts {
  return {
    helloAt: fromDbTime(helloAt),
    silentAt: timeOf(silentAt),
    stoppingAt: timeOf(stoppingAt),
    stoppedAt: timeOf(stoppedAt),
  };
}

function timeOf(text: string | null): Date | null {
  return text === null ? null : fromDbTime(text);
}
