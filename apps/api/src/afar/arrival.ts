import { setTimeout as sleep } from "node:timers/promises";
import { type InstanceRef, readCommand, readInstance, type Sql } from "@maia/db";
import type { ApiContext } from "../context.js";
import type { Arrival, Transfer } from "../gateway/transfers.js";

/** How often we look although nobody has rung. In milliseconds. */
const LOOK_EVERY_MS = 250;

/** A process of a runner: the instance, and which of its lives. */
export type Process = Pick<InstanceRef, "id" | "generation">;

/**
 * Who comes to a transfer within so long. Null: nobody does, or the process that was asked is gone. What a process was told
 * dies with it, and the next one of its instance has to be asked anew.
 */
export async function arrivalWithin(
  { db }: ApiContext,
  transfer: Transfer,
  asked: Process,
  withinMs: number,
  signal: AbortSignal,
): Promise<Arrival | null> {
  const until = performance.now() + withinMs;
  for (const bell = db.bell("engine"); performance.now() < until && !signal.aborted; ) {
    const over = new AbortController();
    const either = AbortSignal.any([over.signal, signal]);
    const rung = bell.next(either).then(() => null); // listen before looking
    const isThere = await isAlive(db.sql, asked);
    const leftMs = Math.min(LOOK_EVERY_MS, until - performance.now());
    const arrival = isThere ? await Promise.race([transfer.arrival, rung, pause(leftMs, either)]) : null;
    over.abort();
    if (arrival || !isThere) return arrival;
  }
  return null;
}

async function isAlive(sql: Sql, { id, generation }: Process): Promise<boolean> {
  const now = await readInstance(sql, id);
  return now?.generation === generation && now.silentAt === null && now.stoppedAt === null;
}

/** Waits, unless the signal aborts first. */
async function pause(ms: number, signal: AbortSignal): Promise<null> {
  return sleep(Math.max(0, ms), null, { signal }).catch(() => null); // ended early, on purpose
}

/** What came of a command of a runner within so long, as JSON; null: nothing did. */
export async function resultWithin(
  { db }: ApiContext,
  commandId: string,
  withinMs: number,
  stopping: AbortSignal,
): Promise<string | null> {
  const until = performance.now() + withinMs;
  for (const bell = db.bell("engine"); performance.now() < until && !stopping.aborted; ) {
    const over = new AbortController();
    const either = AbortSignal.any([over.signal, stopping]);
    const rung = bell.next(either); // listen before looking
    const found = await readCommand(db.sql, commandId);
    if (!found?.finishedAt) await Promise.race([rung, pause(LOOK_EVERY_MS, either)]);
    over.abort();
    if (found?.finishedAt) return found.result;
  }
  return null;
}
