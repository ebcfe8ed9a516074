import { type AllowList, type InstanceRoom, sharesOf } from "@maia/domain";
import type { AttemptRef } from "./attempts.js";
import type { OwnedRun } from "./runs.js";
import { fromDbTime, toDbTime } from "./time.js";
import type { Sql, Tx } from "./types.js";

/** What placing a step on a runner depends on, besides its instances. */
export interface RunnerGate {
  readonly restricted: boolean;
  readonly allowlist: AllowList;
  /** True for Maia's own, which keeps no data apart from Maia. */
  readonly isHosted: boolean;
}

/** A runner's rules. Undefined: there is no such runner (any more). */
export async function readGate(sql: Sql, runnerId: string): Promise<RunnerGate | undefined> {
  const row = await sql.get<{ restricted: number; allowlist: string; platform: string }>(
    `SELECT "restricted", "allowlist", "platform" FROM "Runner" WHERE "id" = ? AND "deletedAt" IS NULL`,
    runnerId,
  );
  if (!row) return undefined;
  const { restricted, allowlist, platform } = row;
  return { restricted: restricted === 1, allowlist: JSON.parse(allowlist), isHosted: platform === "hosted" };
}

/** The name of the environment that a run's job names. */
export async function environmentNameOf(sql: Sql, jobId: string): Promise<string> {
  const text = `SELECT e."name" FROM "JobRun" j JOIN "Environment" e ON e."id" = j."environmentId" WHERE j."id" = ?`;
  return (await sql.get<{ name: string }>(text, jobId))?.name ?? "";
}

interface RoomRow {
  readonly id: string;
  readonly ledgerId: string;
  readonly storeId: string | null;
  readonly slots: number;
  readonly free: number;
  readonly running: number;
  readonly load: string;
  readonly helloAt: string;
  readonly silentAt: string | null;
  readonly stoppingAt: string | null;
  readonly stoppedAt: string | null;
  readonly bound: number;
}

/** The instances of a runner that have not said goodbye, with what is bound to them. */
export async function readRooms(sql: Sql, runnerId: string): Promise<InstanceRoom[]> {
  const rows = await sql.all<RoomRow>(
    `SELECT i."id", i."ledgerId", i."storeId", i."slots", i."free", i."running", i."load", i."helloAt", i."silentAt", i."stoppingAt", i."stoppedAt",
       (SELECT COUNT(*) FROM "Attempt" a WHERE a."status" IN ('DISPATCHING', 'RUNNING') AND a."runnerId" = i."runnerId" AND a."instanceId" = i."id") AS "bound"
     FROM "RunnerInstance" i WHERE i."runnerId" = ? AND i."stoppedAt" IS NULL`,
    runnerId,
  );
  return rows.map(({ load, helloAt, silentAt, stoppingAt, stoppedAt, ...row }) => ({
    ...row,
    ...sharesOf(JSON.parse(load)),
    helloAt: fromDbTime(helloAt),
    silentAt: fromDbTime(silentAt),
    stoppingAt: fromDbTime(stoppingAt),
    stoppedAt: fromDbTime(stoppedAt),
  }));
}

/** When anything was last heard of a runner; null: never. */
export async function readLastSeen(sql: Sql, runnerId: string): Promise<Date | null> {
  const text = `SELECT MAX("lastSeenAt") AS "at" FROM "RunnerInstance" WHERE "runnerId" = ?`;
  return fromDbTime((await sql.get<{ at: string | null }>(text, runnerId))?.at ?? null);
}

/** Where a transaction of a run is open. */
export interface OpenTransaction {
  readonly runnerId: string;
  readonly instanceId: string | null;
  readonly ledgerId: string;
  readonly closedAt: string | null;
}

export function findTransaction(sql: Sql, runId: string, name: string): Promise<OpenTransaction | undefined> {
  const text = `SELECT "runnerId", "instanceId", "ledgerId", "closedAt" FROM "StepTransaction" WHERE "runId" = ? AND "name" = ?`;
  return sql.get(text, runId, name);
}

/** Binds a transaction to where its first step starts. */
export async function openTransaction(
  tx: Tx,
  run: OwnedRun,
  name: string,
  at: { readonly runnerId: string; readonly instanceId: string | null; readonly ledgerId: string },
  now: Date,
): Promise<void> {
  await tx.sql.run(
    `INSERT INTO "StepTransaction" ("runId", "name", "runnerId", "instanceId", "ledgerId", "openedAt") VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    ...[run.id, name, at.runnerId, at.instanceId, at.ledgerId, toDbTime(now)],
  );
}

/** Closes a transaction unless some of its steps still go on or are still to come. */
export async function closeEndedTransaction(
  tx: Tx,
  run: OwnedRun,
  name: string,
  stepKeys: readonly string[],
  now: Date,
): Promise<void> {
  const marks = stepKeys.map(() => "?").join(", ");
  await tx.sql.run(
    `UPDATE "StepTransaction" SET "closedAt" = ? WHERE "runId" = ? AND "name" = ? AND "closedAt" IS NULL
       AND NOT EXISTS (SELECT 1 FROM "RunStep" WHERE "runId" = ? AND "status" IN ('PENDING', 'RUNNING') AND "key" IN (${marks}))`,
    ...[toDbTime(now), run.id, name, run.id, ...stepKeys],
  );
}

/** Notes since when a step waits for its runner. */
export async function queueStep(tx: Tx, run: OwnedRun, stepKey: string, runnerId: string, now: Date): Promise<void> {
  const text = `UPDATE "RunStep" SET "queuedAt" = ?, "queuedFor" = ? WHERE "runId" = ? AND "key" = ? AND "queuedAt" IS NULL`;
  await tx.sql.run(text, toDbTime(now), runnerId, run.id, stepKey);
}

/** Lets steps wait no longer: one, or all of a run. */
export async function unqueueSteps(tx: Tx, run: OwnedRun, stepKey: string | null): Promise<void> {
  const text = `UPDATE "RunStep" SET "queuedAt" = NULL, "queuedFor" = NULL WHERE "runId" = ? AND "queuedAt" IS NOT NULL AND ("key" = ? OR ? IS NULL)`;
  await tx.sql.run(text, run.id, stepKey, stepKey);
}

/** How many steps wait for each runner. */
export async function queuedSteps(sql: Sql): Promise<Map<string, number>> {
  const rows = await sql.all<{ runnerId: string; count: number }>(
    `SELECT "queuedFor" AS "runnerId", COUNT(*) AS "count" FROM "RunStep" WHERE "queuedFor" IS NOT NULL GROUP BY "queuedFor"`,
  );
  return new Map(rows.map(({ runnerId, count }) => [runnerId, count]));
}

/** Takes an offer back. False: the task has left Maia, or the attempt is over. */
export async function takeBack(tx: Tx, attempt: AttemptRef): Promise<boolean> {
  const text = `UPDATE "Attempt" SET "offeredAt" = NULL WHERE "id" = ? AND "epoch" = ? AND "status" = 'DISPATCHING' AND "instanceId" IS NOT NULL AND "handedAt" IS NULL`;
  return (await tx.sql.run(text, attempt.id, attempt.epoch)) === 1;
}

/** How attempts stand that instances have in hand. */
export interface AfarState {
  readonly id: string;
  readonly status: string;
  readonly instanceId: string;
  /** 1 once the task has left Maia. */
  readonly handed: number;
  /** 1 while its run has a transaction open on its instance. */
  readonly inTransaction: number;
}

/** How these attempts stand; those that are not there any more are left out. */
export async function afarStates(sql: Sql, ids: readonly string[]): Promise<AfarState[]> {
  const states: AfarState[] = [];
  for (let from = 0; from < ids.length; from += IDS_AT_ONCE) {
    const some = ids.slice(from, from + IDS_AT_ONCE);
    const values = [...some, ...Array.from({ length: IDS_AT_ONCE - some.length }, () => "")];
    states.push(...(await sql.all<AfarState>(AFAR_TEXT, ...values)));
  }
  return states;
}

const IDS_AT_ONCE = 64;
const AFAR_TEXT = `SELECT "id", "status", "instanceId", "handedAt" IS NOT NULL AS "handed",
    EXISTS (SELECT 1 FROM "StepTransaction" t WHERE t."runId" = a."runId" AND t."instanceId" = a."instanceId" AND t."closedAt" IS NULL) AS "inTransaction"
  FROM "Attempt" a WHERE "id" IN (${Array.from({ length: IDS_AT_ONCE }, () => "?").join(", ")})`;
