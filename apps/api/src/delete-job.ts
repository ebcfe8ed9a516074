import { deleteJob, whyJobStays } from "@maia/db";
import { MaiaError } from "@maia/domain";
import { audited } from "./audited.js";
import type { Call } from "./http/route.js";

const reasons = {
  running: "It has not ended; cancel it first",
  batch: "Its batch goes on; it can be deleted once that has ended",
  reused: "A re-run has results of it; delete that one first",
} as const;

/** Deletes a job that has ended, with its run and all that is told of it. @throws {MaiaError} STATE_CONFLICT */
export async function deleteEndedJob(call: Call, job: { readonly id: string; readonly runId: string | null }) {
  const { db } = call.context;
  const stays = await whyJobStays(db.sql, job.id);
  if (stays) throw new MaiaError("STATE_CONFLICT", reasons[stays]);
  // What is noted first is noted even if the rest is cut off: then the next one who asks goes on.
  await db.write((tx) => audited(tx, call, "job.delete", job.id, { runId: job.runId }));
  if (await deleteJob(db, job)) return;
  if (await whyJobStays(db.sql, job.id)) throw new MaiaError("STATE_CONFLICT", reasons.reused);
}
