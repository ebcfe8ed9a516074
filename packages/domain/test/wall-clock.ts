import { MINUTE } from "../src/time.js";

/** What a clock on the wall shows, as minutes since 1970, had its zone been UTC. */
type WallMinute = number;

/** Zones change their offset on quarters of an hour only. */
const QUARTER = 15 * MINUTE;

/** What the clocks of a zone show at every minute of a period. Asked of Intl alone: nothing here knows croner. */
export class WallClock {
  readonly #format: Intl.DateTimeFormat;
  readonly #offsets = new Map<number, number>();

  constructor(timezone: string) {
    this.#format = new Intl.DateTimeFormat("en", { timeZone: timezone, timeZoneName: "longOffset" });
  }

  wallMinute(at: number): WallMinute {
    const quarter = Math.floor(at / QUARTER) * QUARTER;
    const offset = this.#offsets.get(quarter) ?? this.#offsetAt(quarter);
    this.#offsets.set(quarter, offset);
    return Math.floor(at / MINUTE) + offset;
  }

  #offsetAt(at: number): number {
    const name = this.#format.formatToParts(at).find(({ type }) => type === "timeZoneName")!.value;
    const [, sign, hours = "0", minutes = "0"] = /^GMT(?:([+-])(\d\d):(\d\d))?$/.exec(name)!;
    return (sign === "-" ? -1 : 1) * (Number(hours) * 60 + Number(minutes));
  }
}

/** A cron pattern as a test states it: the values of each field, null for all. */
export interface PlainCron {
  readonly text: string;
  readonly minutes: readonly number[] | null;
  readonly hours: readonly number[] | null;
  readonly days?: readonly number[];
  readonly weekdays?: readonly number[];
  /** True where minute and hour are written without stars and steps. */
  readonly isTimeOfDay: boolean;
}

/** The instants from `from` until `to`, found by looking at the clock every minute and by the policy of the guide. */
export function dueInstants(cron: PlainCron, clock: WallClock, from: number, to: number): number[] {
  const due: number[] = [];
  let furthest = clock.wallMinute(from - MINUTE);
  for (let at = from; at <= to; at += MINUTE) {
    const wall = clock.wallMinute(at);
    if (cron.isTimeOfDay) {
      for (let shown = furthest + 1; shown <= wall; shown++) {
        if (!matches(cron, shown)) continue;
        due.push(at); // its own minute, or the first one after the gap
        break;
      }
    } else if (matches(cron, wall)) due.push(at);
    furthest = Math.max(furthest, wall);
  }
  return due;
}

function matches({ minutes, hours, days, weekdays }: PlainCron, wall: WallMinute): boolean {
  const shown = new Date(wall * MINUTE);
  if (minutes && !minutes.includes(shown.getUTCMinutes())) return false;
  if (hours && !hours.includes(shown.getUTCHours())) return false;
  const isDay = days?.includes(shown.getUTCDate()) ?? false;
  const isWeekday = weekdays?.includes(shown.getUTCDay()) ?? false;
  return !days && !weekdays ? true : isDay || isWeekday;
}
