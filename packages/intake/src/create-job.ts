import { newId, type Trigger } from "@maia/domain";
import type { Caller, IntakeContext } from "./context.js";
import { hashRequest, type IdempotentRequest, madeBefore, takeKey } from "./idempotency.js";
import type { JobRequest } from "./job-request.js";
import { prepareJob, type Upload } from "./prepare-job.js";
import { type JobCause, storeJob } from "./store-job.js";

/** Where a request for a job came from. */
export interface JobOrigin extends Omit<JobCause, "requestedBy"> {
  readonly trigger: Trigger;
  readonly idempotencyKey: string | null;
}

export interface CreatedJob {
  readonly jobId: string;
  /** True when the same request made it before. */
  readonly replayed: boolean;
}

/**
 * Takes a job in: checks the params against the version's schema, applies defaults, checks the files, and stores the
 * JobRun, its files, its event and the idempotency key in one write.
 * @throws {MaiaError} NOT_FOUND, NO_VERSION, INVALID, RESERVED_KEY, BLOB_UNKNOWN, IDEMPOTENCY_KEY_REUSED
 */
export async function createJob(
  context: IntakeContext,
  request: JobRequest,
  uploads: readonly Upload[],
  caller: Caller,
  { idempotencyKey, ...origin }: JobOrigin,
  now: Date,
): Promise<CreatedJob> {
  const { db } = context;
  const once = idempotencyKey === null ? null : idempotent(context, request, uploads, caller, idempotencyKey);
  const before = once && (await madeBefore(db.sql, once, now));
  if (before) return { jobId: before, replayed: true };
  const job = await prepareJob(context, request, uploads, caller);
  const cause = { ...origin, requestedBy: caller.principal };
  return db.write(async (tx) => {
    const jobId = newId("job", now);
    const twin = once && !(await takeKey(tx, once, jobId, now)) ? await madeBefore(tx.sql, once, now) : null;
    if (twin) return { jobId: twin, replayed: true };
    await storeJob(tx, jobId, job, cause, now);
    return { jobId, replayed: false };
  });
}

function idempotent(
  { idempotencyTtlMs }: IntakeContext,
  request: JobRequest,
  uploads: readonly Upload[],
  { principal }: Caller,
  key: string,
): IdempotentRequest {
  const requestHash = hashRequest(request, uploads);
  return { principal, key, requestHash, ttlMs: idempotencyTtlMs, place: "/v1/jobs/" };
}
