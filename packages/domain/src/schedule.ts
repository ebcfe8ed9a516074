import { type Instants, instantsOf, type Timing } from "./schedule-instants.js";
import { MINUTE } from "./time.js";

/**
 * What to do about instants that came due while nobody could act on them: run none of them, the newest one, or the
 * newest `catchUpLimit`.
 */
export type Misfire = "skip" | "fire_once" | "catch_up";
export const misfires = ["skip", "fire_once", "catch_up"] as const satisfies readonly Misfire[];

/** Whether a schedule makes a job while an earlier one of its jobs has not ended. */
export type Overlap = "skip" | "allow";
export const overlaps = ["skip", "allow"] as const satisfies readonly Overlap[];

/**
 * What became of a due instant. `fired`: it made a job. `skipped`: an earlier job of the schedule had not ended.
 * `missed`: nobody was there in time. `failed`: the job was refused.
 */
export type TickOutcome = "fired" | "skipped" | "missed" | "failed";
export const tickOutcomes = ["fired", "skipped", "missed", "failed"] as const satisfies readonly TickOutcome[];

/** How late an instant may be for `skip` to run it still. In milliseconds. Source: docs/guides/schedules.md. */
export const LATE_MS = MINUTE;

/** Most instants that one plan lists one by one. More than these that are missed in a row become one tick. */
export const TICKS_MAX = 1_000;

export const CATCH_UP_MAX = 100;

/** What a plan follows from. */
export interface ScheduleFacts extends Timing {
  readonly misfire: Misfire;
  readonly catchUpLimit: number;
  /** The first instant that nobody has accounted for; null while the schedule is disabled. */
  readonly nextRunAt: Date | null;
}

/** A due instant, or a long row of missed ones. */
export interface PlannedTick {
  readonly dueAt: Date;
  /** The last instant of the row; the same as `dueAt` where it is a single one. */
  readonly lastDueAt: Date;
  /** How many instants this is. */
  readonly count: number;
  readonly outcome: "fire" | "missed";
}

/** What to do now. Every instant before `nextRunAt` is accounted for once the ticks are stored. */
export interface TickPlan {
  readonly ticks: readonly PlannedTick[];
  /** The next instant to account for. It has come already where there was more than one plan can hold. */
  readonly nextRunAt: Date | null;
}

/** What has come due, in the order of time, each instant exactly once. The same facts always give the same plan. */
export function planTicks(schedule: ScheduleFacts, now: Date): TickPlan {
  const { nextRunAt } = schedule;
  if (nextRunAt === null || nextRunAt > now) return { ticks: [], nextRunAt };
  return planDue(schedule, nextRunAt, now, firesFrom(schedule, now));
}

/** The same for a schedule that somebody changes or disables: what had come due by then is missed. */
export function planMissed(schedule: ScheduleFacts, now: Date): TickPlan {
  const { nextRunAt } = schedule;
  if (nextRunAt === null || nextRunAt > now) return { ticks: [], nextRunAt };
  return planDue(schedule, nextRunAt, now, null);
}

function planDue(timing: Timing, from: Date, now: Date, fireFrom: Date | null): TickPlan {
  const instants = instantsOf(timing);
  const quietUntil = fireFrom !== null && fireFrom < now ? fireFrom : now;
  const gap = instants.leap(from, quietUntil, TICKS_MAX);
  if (gap) return missedInARow(instants, from, gap.last, gap.count);
  const { due, next } = takeDue(instants, from, now);
  const last = due.at(-1)!;
  const isLongGap = due.length === TICKS_MAX && (fireFrom === null || last < fireFrom);
  if (isLongGap) return missedInARow(instants, from, last, due.length);
  const ticks = due.map((dueAt): PlannedTick => {
    const outcome = fireFrom !== null && dueAt >= fireFrom ? "fire" : "missed";
    return { dueAt, lastDueAt: dueAt, count: 1, outcome };
  });
  return { ticks, nextRunAt: next };
}

/** The first instants that are due, as many as a plan holds, and the one that follows them. */
function takeDue(instants: Instants, from: Date, now: Date): { due: Date[]; next: Date | null } {
  const due = [from];
  for (const at of instants.after(from)) {
    if (at > now || due.length === TICKS_MAX) return { due, next: at };
    due.push(at);
  }
  return { due, next: null };
}

function missedInARow(instants: Instants, dueAt: Date, lastDueAt: Date, count: number): TickPlan {
  const tick = { dueAt, lastDueAt, count, outcome: "missed" } as const;
  return { ticks: [tick], nextRunAt: take(instants.after(lastDueAt), 1)[0] ?? null };
}

/** From which instant on what is due makes jobs; null: none of it does. */
function firesFrom(schedule: ScheduleFacts, now: Date): Date | null {
  const count = schedule.misfire === "catch_up" ? schedule.catchUpLimit : 1;
  const from = schedule.nextRunAt!;
  const newest = instantsOf(schedule).upTo(now, count);
  const last = newest.at(-1) ?? from;
  const lateMs = now.getTime() - Math.max(last.getTime(), from.getTime());
  return schedule.misfire === "skip" && lateMs > LATE_MS ? null : (newest[0] ?? from);
}

/** The first instant of a schedule that is enabled now. */
export function firstInstant(timing: Timing, now: Date): Date | null {
  return take(instantsOf(timing).after(now), 1)[0] ?? null;
}

/** The next instants of a schedule, beginning with the one that it waits for. */
export function upcomingInstants(schedule: Timing & Pick<ScheduleFacts, "nextRunAt">, count: number): Date[] {
  const { nextRunAt } = schedule;
  if (nextRunAt === null) return [];
  return [nextRunAt, ...take(instantsOf(schedule).after(nextRunAt), count - 1)];
}

function take(instants: Iterable<Date>, count: number): Date[] {
  const taken: Date[] = [];
  if (count <= 0) return taken;
  for (const at of instants) if (taken.push(at) >= count) break;
  return taken;
}
