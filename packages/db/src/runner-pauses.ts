import { isConnected, isPaused, newId, pausedUntil, type RunnerStatus, runnerStatus } from "@maia/domain";
import { announceStatus } from "./fleet.js";
import type { RunnerRow } from "./projects.js";
import { newestPause } from "./runner-facts.js";
import { viewRunner } from "./runner-views.js";
import { toDbTime } from "./time.js";
import type { Tx } from "./types.js";

/** Holds a runner: it gets no new tasks. Its hours begin at once where nothing is in flight. False: it is held already. */
export async function pauseRunner(
  tx: Tx,
  runner: RunnerRow,
  { by, note }: { readonly by: string; readonly note: string },
  autoResumeMs: number,
  now: Date,
): Promise<boolean> {
  const { facts } = (await viewRunner(tx.sql, runner)).sight;
  if (isPaused(facts.pause, autoResumeMs, now)) return false;
  const isQuiet = facts.inFlight + facts.openTransactions === 0;
  await tx.sql.run(
    `INSERT INTO "RunnerPause" ("id", "runnerId", "requestedAt", "requestedBy", "note", "quietAt") VALUES (?, ?, ?, ?, ?, ?)`,
    ...[newId("pause", now), runner.id, toDbTime(now), by, note, isQuiet ? toDbTime(now) : null],
  );
  tx.ring("engine");
  return true;
}

/** Ends a runner's pause. False: it is not held. */
export async function resumeRunner(
  tx: Tx,
  runner: RunnerRow,
  by: string,
  autoResumeMs: number,
  now: Date,
): Promise<boolean> {
  const pause = await newestPause(tx.sql, runner.id);
  if (!pause || !isPaused(pause, autoResumeMs, now)) return false;
  const text = `UPDATE "RunnerPause" SET "resumedAt" = ?, "resumedBy" = ? WHERE "id" = ? AND "resumedAt" IS NULL`;
  await tx.sql.run(text, toDbTime(now), by, pause.id);
  tx.ring("engine");
  return true;
}

/** Tells what a runner is doing now, unless that was told already. */
export async function tellRunnerStatus(tx: Tx, runner: RunnerRow, autoResumeMs: number, now: Date): Promise<void> {
  const { facts } = (await viewRunner(tx.sql, runner)).sight;
  const status = runnerStatus(facts, autoResumeMs, now);
  const announcedStatus = runner.announcedStatus as RunnerStatus | null;
  if (status === announcedStatus) return;
  const isHeld = isPaused(facts.pause, autoResumeMs, now);
  const until = isHeld && facts.pause ? pausedUntil(facts.pause, autoResumeMs) : null;
  const connected = facts.instances.some(isConnected);
  await announceStatus(tx, { ...runner, announcedStatus }, { status, connected, pausedUntil: until }, now);
}
