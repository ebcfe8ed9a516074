import { appendAudit, noteActivity, type Tx } from "@maia/db";
import { isMaiaError, type JsonObject } from "@maia/domain";
import { audited } from "../audited.js";
import { addressOf } from "../http/address.js";
import type { Call } from "../http/route.js";

/** What was done to a runner, for the audit log and for the runner's own history. */
export interface Deed {
  /** As the history has it: PAUSE. */
  readonly action: string;
  readonly note?: string;
  readonly data?: JsonObject;
}

/** Notes a deed in both, in the transaction that does it. */
export async function noted(
  tx: Tx,
  call: Call,
  runnerId: string,
  { action, note = "", data = {} }: Deed,
): Promise<void> {
  await noteActivity(tx, runnerId, { actor: call.caller.id, action, note, data }, call.now);
  await audited(tx, call, auditName(action), runnerId, note === "" ? data : { ...data, note });
}

/** Does something to a runner; where it is refused for a reason of its own, the audit log tells of that too. */
export async function orNotedRefusal<T>(
  call: Call,
  runnerId: string,
  action: string,
  act: () => Promise<T>,
): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!isMaiaError(error)) throw error;
    const { caller, requestId, req, now, context } = call;
    const detail = { code: error.code, message: error.message };
    const entry = {
      actor: caller.id,
      action: auditName(action),
      target: runnerId,
      outcome: "refused",
      requestId,
      detail,
    };
    await context.db.write((tx) => appendAudit(tx, { ...entry, ip: addressOf(req) }, now));
    throw error;
  }
}

function auditName(action: string): string {
  return `runner.${action.toLowerCase()}`;
}
