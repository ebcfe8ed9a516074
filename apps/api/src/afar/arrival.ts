import { type InstanceRef, readInstance, type Sql } from "@maia/db";
import type { ApiContext } from "../context.js";
import type { Arrival, Transfer } from "../gateway/transfers.js";
import { LOOK_EVERY_MS, pause } from "../runners/command-outcome.js";

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
