import { findJobView, requestCancel } from "@maia/db";
import { MaiaError } from "@maia/domain";
import { audited } from "./audited.js";
import type { Call } from "./http/route.js";
import { named, object, optional } from "./http/shapes.js";
import { nameOf } from "./present/common.js";

const CANCEL_REASON_MAX = 200;

/** What may be said with a cancel. */
export const cancelRequest = {
  shape: named(
    "CancelRequest",
    object({ reason: optional(nameOf(CANCEL_REASON_MAX, { description: "Why; shown with the job and its run" })) }),
  ),
  example: { reason: "The input file was last week's" },
  isOptional: true,
} as const;

/** Asks a job to end, its run with it. @throws {MaiaError} STATE_CONFLICT where it has ended already. */
export async function cancelJob(call: Call, jobId: string, reason: string | null): Promise<void> {
  const ends = await call.context.db.write(async (tx) => {
    const job = await findJobView(tx.sql, null, jobId);
    const ends = await requestCancel(tx, jobId, call.now, reason);
    if (ends && job?.cancelRequestedAt === null)
      await audited(tx, call, "job.cancel", jobId, reason === null ? {} : { reason });
    return ends;
  });
  if (!ends) throw new MaiaError("STATE_CONFLICT", "It has ended already");
}
