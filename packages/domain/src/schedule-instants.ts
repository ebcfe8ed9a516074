import { Cron } from "croner";
import { DAY } from "./time.js";
import { firstShown, offsetMs } from "./zone.js";

export type ScheduleKind = "cron" | "interval";
export const scheduleKinds = ["cron", "interval"] as const satisfies readonly ScheduleKind[];

/** When a schedule comes due. */
export interface Timing {
  readonly kind: ScheduleKind;
  /** Five fields: minute, hour, day of the month, month, day of the week. */
  readonly cron: string | null;
  readonly intervalMs: number | null;
  /** IANA name of the zone whose clock cron reads. */
  readonly timezone: string;
  /** Where the grid of an interval begins: its first instant is one interval later. */
  readonly anchorAt: Date;
}

/** The instants at which a schedule comes due, as moments in time: one that a clock shows twice is two of them. */
export interface Instants {
  /** Those after a moment, one by one; finding one costs some 50 µs where a clock has to be asked. */
  after(at: Date): Iterable<Date>;
  /** The newest ones until a moment, that moment included, in the order of time. */
  upTo(at: Date, count: number): Date[];
  /** Where more than `keep` instants lie from `from` until `to`: all but the last `keep`. Null where nothing is gained. */
  leap(from: Date, to: Date, keep: number): { readonly last: Date; readonly count: number } | null;
}

export function instantsOf(timing: Timing): Instants {
  return timing.kind === "cron"
    ? cronInstants(timing.cron ?? "", timing.timezone)
    : intervalInstants(timing.anchorAt.getTime(), timing.intervalMs ?? 0);
}

/**
 * Times of day (`30 2 * * *`, lists and ranges too) come once a day: one that the clock skips comes at the end of the
 * gap, one that it shows twice comes the first time. Patterns with `*` or a step in minute or hour follow elapsed time:
 * nothing in a gap, and every round of an hour that comes twice.
 */
function cronInstants(pattern: string, timezone: string): Instants {
  const isTimeOfDay = !/[*/]/.test(pattern.trim().split(/\s+/, 2).join());
  return isTimeOfDay ? timesOfDay(pattern, timezone) : elapsedTimes(pattern, timezone);
}

function elapsedTimes(pattern: string, timezone: string): Instants {
  const cron = openCron(pattern, timezone);
  return {
    after: (at) => follow(cron, at),
    upTo: (at, count) => cron.previousRuns(count, new Date(at.getTime() + 1)).reverse(),
    leap: () => null,
  };
}

/** Read on a clock that never changes, and then looked up when the zone's clock shows it: gaps may swallow midnight. */
function timesOfDay(pattern: string, timezone: string): Instants {
  const cron = openCron(pattern, "UTC");
  const shownAt = (at: Date) => at.getTime() + offsetMs(timezone, at.getTime());
  return {
    *after(at) {
      let last = at.getTime();
      for (const shown of follow(cron, new Date(shownAt(at)))) {
        const next = firstShown(timezone, shown.getTime());
        if (next > last) yield new Date(next);
        last = Math.max(last, next);
      }
    },
    upTo: (at, count) => {
      const found = new Set<number>();
      for (let before = new Date(shownAt(at) + DAY); found.size < count; ) {
        const [shown] = cron.previousRuns(1, before);
        if (!shown) break;
        const instant = firstShown(timezone, shown.getTime());
        if (instant <= at.getTime()) found.add(instant);
        before = shown;
      }
      return [...found].reverse().map((instant) => new Date(instant));
    },
    leap: () => null,
  };
}

function* follow(cron: Cron, at: Date): Iterable<Date> {
  for (let next = cron.nextRun(at); next !== null; next = cron.nextRun(next)) yield next;
}

/** Reads a pattern. @throws {Error} that says what is wrong with it. */
export function openCron(pattern: string, timezone: string): Cron {
  return new Cron(pattern, { mode: "5-part", timezone, paused: true });
}

/** Elapsed time on a grid that nothing shifts: neither clocks that change nor jobs that are made by hand. */
function intervalInstants(anchor: number, interval: number): Instants {
  if (!(interval > 0)) throw new Error("an interval must be positive");
  const indexAt = (at: number) => Math.floor((at - anchor) / interval);
  return {
    *after(at) {
      for (let index = Math.max(1, indexAt(at.getTime()) + 1); ; index++) yield new Date(anchor + index * interval);
    },
    upTo: (at, count) => {
      const last = indexAt(at.getTime());
      const first = Math.max(1, last - count + 1);
      return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => new Date(anchor + (first + i) * interval));
    },
    leap: (from, to, keep) => {
      const [first, last] = [indexAt(from.getTime()), indexAt(to.getTime()) - keep];
      return last > first ? { last: new Date(anchor + last * interval), count: last - first + 1 } : null;
    },
  };
}
