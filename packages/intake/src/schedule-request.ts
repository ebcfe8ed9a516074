import { nameProblem, Reader, readScheduleRules, type ScheduleRules, scheduleRuleFields } from "@maia/domain";
import { type JobRequest, jobFields, readJobRequest } from "./job-request.js";

/** What `POST /v1/schedules` asks for: when, and for which job. */
export interface ScheduleRequest {
  readonly name: string | null;
  readonly job: JobRequest;
  readonly rules: ScheduleRules;
}

const NAME_MAX = 100;

/** Files that were uploaded once may be gone when a schedule needs them; what lies at an address is fetched each time. */
const HINTS = { files: "is not possible here: name what is to be fetched at each run in urlFiles" };
const FIELDS = ["name", ...jobFields.filter((name) => name !== "files"), ...scheduleRuleFields];
/** What stays as it was made. */
const FIXED = ["workflow", "project"];
const HINTS_CHANGE = { ...HINTS, workflow: "cannot be changed; make another schedule", project: "cannot be changed" };

/** Null stands for nothing in these, as it does in answers. */
const NULLABLE = new Set(["name", "version", "environment", "runner", "cron", "intervalMs"]);

/** Reads the request for a schedule. @throws {MaiaError} INVALID with a pointer for each fault. */
export function parseScheduleRequest(value: unknown, now: Date): ScheduleRequest {
  return Reader.read(value, (root) => readRequest(root, now));
}

/** A request as a document, such as stands behind a schedule that is there. */
export type ScheduleDocument = { readonly [field: string]: unknown };

/**
 * What a schedule becomes by a change: fields that it does not name stay as they are.
 * @throws {MaiaError} INVALID with a pointer for each fault.
 */
export function parseScheduleChange(current: ScheduleDocument, change: unknown, now: Date): ScheduleRequest {
  Reader.read(change, (root) =>
    root.object(
      FIELDS.filter((name) => !FIXED.includes(name)),
      HINTS_CHANGE,
    ),
  );
  const changed = change as ScheduleDocument;
  const isOtherKind = changed.kind !== undefined && changed.kind !== current.kind;
  const { cron: _cron, intervalMs: _interval, ...rest } = current;
  return parseScheduleRequest({ ...(isOtherKind ? rest : current), ...changed }, now);
}

function readRequest(root: Reader, now: Date): ScheduleRequest {
  const all = root.object(FIELDS, HINTS);
  const field = (name: string) => {
    const place = all(name);
    return place.isNull && NULLABLE.has(name) ? root.at(name) : place;
  };
  return {
    name: field("name").isAbsent ? null : field("name").string((text) => nameProblem(text, NAME_MAX)),
    job: readJobRequest((name) => (name === "files" ? root.at(name) : field(name))),
    rules: readScheduleRules(field, now),
  };
}
