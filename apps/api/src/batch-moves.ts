import {
  type BatchChange,
  cancelBatch as cancel,
  changeBatch as change,
  findBatch,
  moveBatch,
  setQueueDeadlines,
  type Tx,
} from "@maia/db";
import { MaiaError } from "@maia/domain";
import { jobRulesOf } from "@maia/intake";
import { audited } from "./audited.js";
import { etagOf, ifMatch, requireMatch } from "./http/precondition.js";
import type { Call } from "./http/route.js";

/** Asks a batch to end, its jobs with it. @throws {MaiaError} STATE_CONFLICT where it has ended already. */
export async function cancelBatch(call: Call, id: string): Promise<void> {
  await call.context.db.write(async (tx) => {
    const before = await findBatch(tx.sql, id);
    if (!(await cancel(tx, id, call.now))) throw new MaiaError("STATE_CONFLICT", "It has ended already");
    if (before?.cancelRequestedAt === null) await audited(tx, call, "batch.cancel", id);
  });
}

/** Holds a batch. One that is held stays so. @throws {MaiaError} STATE_CONFLICT where it ends or has ended. */
export function pauseBatch(call: Call, id: string): Promise<void> {
  return call.context.db.write((tx) => hold(tx, call, id, "pause"));
}

/** Goes on with a batch. One that goes on stays so. @throws {MaiaError} STATE_CONFLICT where it ends or has ended. */
export function resumeBatch(call: Call, id: string): Promise<void> {
  return call.context.db.write((tx) => hold(tx, call, id, "resume"));
}

async function hold(tx: Tx, call: Call, id: string, move: "pause" | "resume"): Promise<void> {
  const batch = await findBatch(tx.sql, id);
  if (!batch || (batch.status !== "RUNNING" && batch.status !== "PAUSED")) {
    throw new MaiaError("STATE_CONFLICT", "It has ended already");
  }
  if (batch.cancelRequestedAt !== null || batch.failure !== null) {
    throw new MaiaError("STATE_CONFLICT", "It is being stopped");
  }
  if (!(await moveBatch(tx, batch, move, call.now))) return;
  const { queueTimeoutMs } = await jobRulesOf(tx.sql, batch.workflowVersionId);
  const isTimed = move === "resume" && queueTimeoutMs !== null;
  await setQueueDeadlines(tx, id, isTimed ? new Date(call.now.getTime() + queueTimeoutMs) : null);
  await audited(tx, call, `batch.${move}`, id);
}

/** Changes how a batch goes on. @throws {MaiaError} STATE_CONFLICT where it has ended, PRECONDITION. */
export async function changeBatch(call: Call, id: string, wanted: Partial<BatchChange>): Promise<void> {
  const tags = ifMatch(call.req);
  await call.context.db.write(async (tx) => {
    const isChanged = await change(tx, id, (now) => {
      requireMatch(tags, batchEtag(now));
      return { ...now, ...wanted };
    });
    if (!isChanged) throw new MaiaError("STATE_CONFLICT", "It has ended already");
    await audited(tx, call, "batch.update", id, { fields: Object.keys(wanted) });
  });
}

/** Of what may be changed of a batch. */
export function batchEtag({ concurrency, maxFailures }: BatchChange): string {
  return etagOf(JSON.stringify([concurrency, maxFailures]));
}
