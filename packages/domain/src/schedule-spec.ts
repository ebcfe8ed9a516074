import type { Reader } from "./reader.js";
import { CATCH_UP_MAX, type Misfire, misfires, type Overlap, overlaps } from "./schedule.js";
import { openCron, type ScheduleKind, scheduleKinds } from "./schedule-instants.js";
import { DAY, SECOND } from "./time.js";

/** When a schedule makes jobs, and when it does not, as its author says it. */
export interface ScheduleRules {
  readonly kind: ScheduleKind;
  readonly cron: string | null;
  readonly intervalMs: number | null;
  readonly timezone: string;
  readonly misfire: Misfire;
  readonly catchUpLimit: number;
  readonly overlap: Overlap;
  readonly enabled: boolean;
}

export const scheduleRuleFields = [
  "kind",
  "cron",
  "intervalMs",
  "timezone",
  "misfire",
  "catchUpLimit",
  "overlap",
  "enabled",
] as const;

export const INTERVAL_MIN_MS = SECOND;
export const INTERVAL_MAX_MS = 366 * DAY;
const CRON_MAX = 256;
const ZONE_MAX = 64;

/** Reads the rules of a schedule. Absent ones have defaults; `cron` or `intervalMs` follows from the kind. */
export function readScheduleRules(field: (name: (typeof scheduleRuleFields)[number]) => Reader, now: Date) {
  const kind = field("kind").oneOf(scheduleKinds);
  const timezone = field("timezone").isAbsent ? "UTC" : field("timezone").string(timezoneProblem);
  const other = field(kind === "cron" ? "intervalMs" : "cron");
  if (!other.isAbsent) other.fail(`does not belong to kind ${kind}`);
  const isCron = kind === "cron";
  const cron = isCron ? field("cron").string((text) => cronProblem(text, timezone || "UTC", now)) : null;
  const intervalMs = isCron ? null : field("intervalMs").integer(INTERVAL_MIN_MS, INTERVAL_MAX_MS);
  const rules: ScheduleRules = {
    kind,
    cron: cron?.trim().replace(/\s+/g, " ") ?? null,
    intervalMs,
    timezone,
    misfire: field("misfire").oneOf(misfires, "fire_once"),
    catchUpLimit: field("catchUpLimit").integer(1, CATCH_UP_MAX, CATCH_UP_MAX),
    overlap: field("overlap").oneOf(overlaps, "skip"),
    enabled: field("enabled").boolean(true),
  };
  return rules;
}

/** What is wrong with the name of a time zone, or null. An offset such as +01:00 is none: it knows no summer. */
export function timezoneProblem(text: string): string | null {
  const problem = "must be an IANA time zone such as Europe/Berlin or UTC";
  if (text.length > ZONE_MAX || !/^[A-Za-z][A-Za-z0-9_+\-/]*$/.test(text)) return problem;
  try {
    new Intl.DateTimeFormat("en", { timeZone: text });
    return null;
  } catch {
    return `${problem}; ${text} is not known here`;
  }
}

/** The fields of a pattern, and what each takes. */
const CRON_FIELDS = [
  ["minute", "0 to 59"],
  ["hour", "0 to 23"],
  ["day of the month", "1 to 31, or L for the last"],
  ["month", "1 to 12, or JAN to DEC"],
  ["day of the week", "0 to 7, or SUN to SAT"],
] as const;
const FIELDS = `five fields: ${CRON_FIELDS.map(([name]) => name).join(", ")}`;
const CRON_TEXT = /^[0-9A-Za-z*,/#\-\t ]+$/;

/** What the parser says of values, whose names and numbers are not those that people write. */
const OBVIOUS = /^(Invalid value|configuration entry)/;

/** What is wrong with a cron pattern, or null. */
export function cronProblem(text: string, timezone: string, now: Date): string | null {
  if (text.length > CRON_MAX) return `must have at most ${CRON_MAX} characters`;
  const fields = text.split(/\s+/).filter(Boolean);
  if (fields.length !== CRON_FIELDS.length) return `must have ${FIELDS}; there are ${fields.length}`;
  const problem = fieldProblem(fields, timezone);
  if (problem !== null) return problem;
  if (!CRON_TEXT.test(text)) return `must have ${FIELDS}, with nothing but spaces between them`;
  try {
    return openCron(text, timezone).nextRun(now) === null ? "never fires: no such day exists" : null;
  } catch (error) {
    return `must have ${FIELDS}; ${detailOf(error)}`;
  }
}

/** The first field that is wrong by itself, and why. */
function fieldProblem(fields: readonly string[], timezone: string): string | null {
  for (const [at, [name, values]] of CRON_FIELDS.entries()) {
    const field = fields[at] ?? "";
    const alone = CRON_FIELDS.map((_, other) => (other === at ? field : "*")).join(" ");
    const detail = CRON_TEXT.test(field) ? refusalOf(alone, timezone) : "it has a character that no pattern has";
    if (detail === null) continue;
    const more = OBVIOUS.test(detail) ? "" : `: ${detail}`;
    return `has ${JSON.stringify(field)} as its ${name} (field ${at + 1} of five), which takes ${values}${more}`;
  }
  return null;
}

function refusalOf(pattern: string, timezone: string): string | null {
  try {
    openCron(pattern, timezone);
    return null;
  } catch (error) {
    return detailOf(error);
  }
}

function detailOf(error: unknown): string {
  return error instanceof Error ? error.message.replace(/^\w+: /, "") : String(error);
}
