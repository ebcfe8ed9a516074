import { appendAudit, type Tx } from "@maia/db";
import type { JsonObject } from "@maia/domain";
import { addressOf } from "./http/address.js";
import type { Call } from "./http/route.js";

/** Notes in the audit log, together with the change itself, who made it. */
export async function audited(
  tx: Tx,
  call: Call,
  action: string,
  target: string,
  detail: JsonObject = {},
): Promise<void> {
  const { caller, requestId, now } = call;
  const ip = addressOf(call.req);
  await appendAudit(tx, { actor: caller.id, action, target, outcome: "ok", requestId, ip, detail }, now);
}
