import { type InstanceLoad, isOverloaded, sharesOf } from "@maia/domain";
import { fromDbTime, toDbTime } from "./time.js";
import type { Sql, Tx } from "./types.js";

/** A process of a runner. A restart with the same ledger is the same instance, a generation later. */
export interface InstanceRef {
  readonly id: string;
  readonly runnerId: string;
  readonly generation: number;
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
