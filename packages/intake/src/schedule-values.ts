import type { ScheduleRow, ScheduleValues } from "@maia/db";
import { firstInstant, type Timing } from "@maia/domain";
import type { ScheduleRequest } from "./schedule-request.js";

/** What a schedule is stored as, from a request whose job could be made now. */
export function scheduleValues(
  { name, job, rules }: ScheduleRequest,
  { environmentId, runnerId }: Pick<ScheduleValues, "environmentId" | "runnerId">,
  when: Pick<ScheduleValues, "anchorAt" | "nextRunAt">,
): ScheduleValues {
  return {
    name,
    ...rules,
    ...when,
    version: job.version,
    environmentId: job.environment === null ? null : environmentId,
    runnerId: job.runner === null ? null : runnerId,
    priority: job.priority,
    labels: JSON.stringify(job.labels),
    params: JSON.stringify(job.params),
    urlFiles: JSON.stringify(job.urlFiles),
  };
}

/** When a new schedule comes due first. */
export function beginning({ rules }: ScheduleRequest, now: Date): Pick<ScheduleValues, "anchorAt" | "nextRunAt"> {
  return { anchorAt: now, nextRunAt: rules.enabled ? firstInstant({ ...rules, anchorAt: now }, now) : null };
}

/**
 * When a changed schedule comes due next. What it waits for stays where nothing about time has changed; the grid of an
 * interval stays where the interval does. An instant that is accounted for does not come again, even if clocks went back.
 */
export function continuation(
  current: ScheduleRow,
  { rules }: ScheduleRequest,
  accountedUntil: Date | null,
  now: Date,
): Pick<ScheduleValues, "anchorAt" | "nextRunAt"> {
  const isSame = !hasOtherTiming(current, rules);
  const keepsGrid = current.kind === rules.kind && current.intervalMs === rules.intervalMs;
  const anchorAt = keepsGrid ? current.anchorAt : now;
  if (!rules.enabled) return { anchorAt, nextRunAt: null };
  if (isSame && current.enabled) return { anchorAt, nextRunAt: current.nextRunAt };
  const after = isSame && accountedUntil !== null && accountedUntil > now ? accountedUntil : now;
  return { anchorAt, nextRunAt: firstInstant({ ...rules, anchorAt }, after) };
}

/** True where a change moves the instants, or stops them. */
export function movesInstants(current: ScheduleRow, { rules }: ScheduleRequest): boolean {
  return hasOtherTiming(current, rules) || current.enabled !== rules.enabled;
}

function hasOtherTiming(current: ScheduleRow, rules: Omit<Timing, "anchorAt">): boolean {
  const fields = ["kind", "cron", "intervalMs", "timezone"] as const;
  return fields.some((name) => current[name] !== rules[name]);
}
