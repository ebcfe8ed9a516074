import { newId } from "@maia/domain";
import type { InstanceRef } from "./instances.js";
import { toDbTime } from "./time.js";
import type { Sql, Tx } from "./types.js";

/** How a process of a runner introduces itself. */
export interface Hello {
  readonly ledgerId: string;
  /** Made up by the process at its start. Left out: each hello counts as one of a new process. */
  readonly processId?: string;
  readonly protocol: string;
  readonly version: string;
  readonly slots: number;
  readonly labels: { readonly [name: string]: string };
  readonly isolation: string;
  readonly capabilities: readonly string[];
  /** The store in which it can keep data; null: it has none. */
  readonly storeId?: string | null;
}

/** Of the instances of a runner that are gone, so many are kept. */
const GONE_KEPT = 200;

/** No attempt of the instance may still run. */
const HAS_NOTHING = `NOT EXISTS (SELECT 1 FROM "Attempt" a WHERE a."status" IN ('DISPATCHING', 'RUNNING')
       AND a."runnerId" = "RunnerInstance"."runnerId" AND a."instanceId" = "RunnerInstance"."id")`;

/** An instance that has said hello. */
export interface Greeted extends InstanceRef {
  /** False: this very process had said it before. */
  readonly isNew: boolean;
}

/**
 * Makes an instance known, or known again, and rings for the engine. A hello may arrive twice, and late: one that a process
 * repeats changes nothing, or the process would supersede itself. Null: there is no such runner any more.
 */
export async function sayHello(tx: Tx, runnerId: string, hello: Hello, now: Date): Promise<Greeted | null> {
  const { sql } = tx;
  const runner = await sql.get<{ secretVersion: number }>(
    `SELECT "secretVersion" FROM "Runner" WHERE "id" = ?`,
    runnerId,
  );
  if (!runner) return null;
  const before = await findInstance(sql, runnerId, hello.ledgerId);
  if (before && hello.processId !== undefined && before.processId === hello.processId)
    return { ...before, runnerId, isNew: false };
  await keepHello(tx, runnerId, runner.secretVersion, hello, now);
  const { id, generation } = (await findInstance(sql, runnerId, hello.ledgerId))!;
  await dropOldCommands(tx, id, now);
  await forgetGone(tx, runnerId);
  tx.ring("engine");
  return { id, runnerId, generation, isNew: true };
}

interface Known {
  readonly id: string;
  readonly generation: number;
  readonly processId: string | null;
}

function findInstance(sql: Sql, runnerId: string, ledgerId: string): Promise<Known | undefined> {
  const text = `SELECT "id", "generation", "processId" FROM "RunnerInstance" WHERE "runnerId" = ? AND "ledgerId" = ?`;
  return sql.get(text, runnerId, ledgerId);
}

async function keepHello({ sql }: Tx, runnerId: string, secretVersion: number, hello: Hello, now: Date): Promise<void> {
  const at = toDbTime(now);
  await sql.run(
    `INSERT INTO "RunnerInstance" ("id", "runnerId", "ledgerId", "processId", "generation", "secretVersion", "protocol", "version", "slots", "labels", "isolation", "capabilities", "storeId", "helloAt", "lastSeenAt")
     VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT ("runnerId", "ledgerId") DO UPDATE SET
       "generation" = "generation" + 1, "processId" = excluded."processId", "secretVersion" = excluded."secretVersion", "protocol" = excluded."protocol",
       "version" = excluded."version", "slots" = excluded."slots", "labels" = excluded."labels",
       "isolation" = excluded."isolation", "capabilities" = excluded."capabilities", "storeId" = excluded."storeId", "free" = 0, "running" = 0,
       "heartbeatSeq" = "heartbeatSeq" + 1, "helloAt" = excluded."helloAt", "lastSeenAt" = excluded."lastSeenAt",
       "silentAt" = NULL, "stoppingAt" = NULL, "stoppedAt" = NULL`,
    newId("instance", now),
    runnerId,
    hello.ledgerId,
    hello.processId ?? null,
    secretVersion,
    hello.protocol,
    hello.version,
    hello.slots,
    JSON.stringify(hello.labels),
    hello.isolation,
    JSON.stringify(hello.capabilities),
    hello.storeId ?? null,
    at,
    at,
  );
}

/** What was told to the process before this one is not for it: a restart that is over must not happen again. */
async function dropOldCommands({ sql }: Tx, instanceId: string, now: Date): Promise<void> {
  const text = `UPDATE "RunnerCommand" SET "takenAt" = ?, "finishedAt" = ? WHERE "instanceId" = ? AND "takenAt" IS NULL`;
  await sql.run(text, toDbTime(now), toDbTime(now), instanceId);
}

/** Forgets the oldest instances that are gone, since containers come with a new ledger each time. */
async function forgetGone({ sql }: Tx, runnerId: string): Promise<void> {
  await sql.run(
    `DELETE FROM "RunnerInstance" WHERE "id" IN (
       SELECT "id" FROM "RunnerInstance" WHERE "runnerId" = ? AND ("stoppedAt" IS NOT NULL OR "silentAt" IS NOT NULL)
       ORDER BY "lastSeenAt" DESC LIMIT 1000 OFFSET ${GONE_KEPT})
     AND ${HAS_NOTHING}`,
    runnerId,
  );
}

/**
 * Forgets instances that nothing was heard of since `before` while their runner was heard of: what has lost its disk comes
 * back as another one, and is not coming back as itself. The one that was heard of last stays, since it says how its
 * runner ended. @returns how many
 */
export async function forgetSilent(tx: Tx, before: Date): Promise<number> {
  const forgotten = await tx.sql.run(
    `DELETE FROM "RunnerInstance" WHERE "stoppedAt" IS NULL AND "silentAt" < ?
     AND EXISTS (SELECT 1 FROM "RunnerInstance" i WHERE i."runnerId" = "RunnerInstance"."runnerId"
       AND i."lastSeenAt" > "RunnerInstance"."lastSeenAt")
     AND ${HAS_NOTHING}`,
    toDbTime(before),
  );
  if (forgotten > 0) tx.ring("engine"); // what is left may tell another status of the runner
  return forgotten;
}
