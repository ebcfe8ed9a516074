import { findJobView, requestCancel } from "@maia/db";
import { MaiaError } from "@maia/domain";
import { audited } from "./audited.js";
import type { Call } from "./http/route.js";

/** Asks a job to end, its run with it. @throws {MaiaError} STATE_CONFLICT where it has ended already. */
export async function cancelJob(call: Call, jobId: string): Promise<void> {
  const ends = await call.context.db.write(async (tx) => {
    const job = await findJobView(tx.sql, null, jobId);
    const ends = await requestCancel(tx, jobId, call.now);
    if (ends && job?.cancelRequestedAt === null) await audited(tx, call, "job.cancel", jobId);
    return ends;
  });
  if (!ends) throw new MaiaError("STATE_CONFLICT", "It has ended already");
}
