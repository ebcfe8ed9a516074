import { type InstanceLoad, isOverloaded, newId, sharesOf } from "@maia/domain";
import { fromDbTime, toDbTime } from "./time.js";
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

/** A process of a runner. A restart with the same ledger is the same instance, a generation later. */
export interface InstanceRef {
  readonly id: string;
  readonly runnerId: string;
  readonly generation: number;
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

/** An instance as those who answer it need to know it. */
export interface InstanceState extends InstanceRef {
  /** Of its runner now: another one than before means that its credentials count no more. */
  readonly secretVersion: number;
  readonly silentAt: string | null;
  readonly stoppingAt: string | null;
  readonly stoppedAt: string | null;
  readonly lastSeenAt: string;
  readonly slots: number;
  /** What the last poll said that was noted. */
  readonly free: number;
  readonly running: number;
  readonly storeId: string | null;
  /** JSON of an `InstanceLoad`. */
  readonly load: string;
  /** 0 or 1. */
  readonly restricted: number;
  /** JSON of an `AllowList`. */
  readonly allowlist: string;
}

/** The instance of that id. */
export function readInstance(sql: Sql, instanceId: string): Promise<InstanceState | undefined> {
  return sql.get(
    `SELECT i."id", i."runnerId", i."generation", r."secretVersion", i."silentAt", i."stoppingAt", i."stoppedAt",
       i."lastSeenAt", i."slots", i."free", i."running", i."storeId", i."load", r."restricted", r."allowlist"
     FROM "RunnerInstance" i JOIN "Runner" r ON r."id" = i."runnerId" WHERE i."id" = ?`,
    instanceId,
  );
}

/** What a poll says about its instance. */
export interface PollNote {
  /** Room for so many tasks more. */
  readonly free: number;
  /** So many attempts in hand. */
  readonly running: number;
  readonly load: InstanceLoad;
  /** It finishes what it has and takes nothing new. */
  readonly isStopping: boolean;
}

/**
 * Whether a poll tells anything that is worth a write: the sign of life before is `everyMs` old, or something has changed by
 * which tasks are placed. A runner that is busy polls after each task.
 */
export function isWorthANote(before: InstanceState, note: PollNote, everyMs: number, now: Date): boolean {
  if (before.silentAt !== null || (note.isStopping && before.stoppingAt === null)) return true;
  if (wasOverloaded(before) !== isNowOverloaded(before, note)) return true;
  const ageMs = now.getTime() - fromDbTime(before.lastSeenAt).getTime();
  return ageMs < 0 || ageMs >= everyMs; // below 0: the clock was set back
}

function wasOverloaded({ load, slots, free, running }: InstanceState): boolean {
  return isOverloaded({ ...sharesOf(JSON.parse(load)), slots, free, running });
}

function isNowOverloaded({ slots }: InstanceState, { load, free, running }: PollNote): boolean {
  return isOverloaded({ ...sharesOf(load), slots, free, running });
}

/** Notes a sign of life. The engine hears of it only where that changes what it may place there. */
export async function notePoll(tx: Tx, before: InstanceState, note: PollNote, now: Date): Promise<void> {
  const at = toDbTime(now);
  const stops = note.isStopping && before.stoppingAt === null;
  await tx.sql.run(
    `UPDATE "RunnerInstance" SET "free" = ?, "running" = ?, "load" = ?, "heartbeatSeq" = "heartbeatSeq" + 1,
       "lastSeenAt" = ?, "silentAt" = NULL, "stoppingAt" = COALESCE("stoppingAt", ?)
     WHERE "id" = ? AND "generation" = ?`,
    note.free,
    note.running,
    JSON.stringify(note.load),
    at,
    stops ? at : null,
    before.id,
    before.generation,
  );
  const isFreeAgain = wasOverloaded(before) && !isNowOverloaded(before, note);
  if (before.silentAt !== null || stops || isFreeAgain) tx.ring("engine");
}

/** Notes that a process has left in good order. False: it had been superseded, or had said so before. */
export async function sayGoodbye(tx: Tx, { id, generation }: InstanceRef, now: Date): Promise<boolean> {
  const at = toDbTime(now);
  const changed = await tx.sql.run(
    `UPDATE "RunnerInstance" SET "stoppedAt" = ?, "stoppingAt" = COALESCE("stoppingAt", ?), "lastSeenAt" = ?, "silentAt" = NULL,
       "free" = 0, "running" = 0, "heartbeatSeq" = "heartbeatSeq" + 1
     WHERE "id" = ? AND "generation" = ? AND "stoppedAt" IS NULL`,
    at,
    at,
    at,
    id,
    generation,
  );
  if (changed === 1) tx.ring("engine");
  return changed === 1;
}

/** How an instance stands that waits for something to do. */
export interface InstanceGlance {
  readonly id: string;
  readonly generation: number;
  readonly secretVersion: number;
  readonly stoppedAt: string | null;
  /** 0 or 1: something is offered to it that was not handed over yet. */
  readonly hasOffers: number;
  /** 0 or 1: something is to be stopped, or to be done. */
  readonly hasOrders: number;
}

/** How these instances stand, in one look by index. */
export function glanceAtInstances(sql: Sql, ids: readonly string[]): Promise<InstanceGlance[]> {
  // Few texts, since each is prepared once: the list is filled up with repeats to a power of two.
  const places = 2 ** Math.ceil(Math.log2(Math.max(1, ids.length)));
  const values = Array.from({ length: places }, (_, index) => ids[index] ?? ids[0] ?? "");
  const ofInstance = `a."status" IN ('DISPATCHING', 'RUNNING') AND a."runnerId" = i."runnerId" AND a."instanceId" = i."id"`;
  return sql.all(
    `SELECT i."id", i."generation", r."secretVersion", i."stoppedAt",
       EXISTS (SELECT 1 FROM "Attempt" a WHERE ${ofInstance} AND a."offeredAt" IS NOT NULL AND a."handedAt" IS NULL) AS "hasOffers",
       EXISTS (SELECT 1 FROM "Attempt" a JOIN "Run" run ON run."id" = a."runId" WHERE ${ofInstance}
         AND (a."stopRequestedAt" IS NOT NULL OR run."cancelRequestedAt" IS NOT NULL))
       OR EXISTS (SELECT 1 FROM "RunnerCommand" c WHERE c."instanceId" = i."id" AND c."takenAt" IS NULL) AS "hasOrders"
     FROM "RunnerInstance" i JOIN "Runner" r ON r."id" = i."runnerId"
     WHERE i."id" IN (${values.map(() => "?").join(", ")})`,
    ...values,
  );
}
