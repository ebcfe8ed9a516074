import { isMaiaError } from "@maia/domain";
import { TRANSFER_PROBLEM_HEADER } from "@maia/runner-protocol";
import { refuseEncoding } from "../http/body.js";
import type { Call } from "../http/route.js";
import { admitInstance, speakerOf } from "./admission.js";
import { type Arrival, nobodyWaits } from "./transfers.js";

const PROBLEM_MAX = 500;

/**
 * Takes bytes that somebody waits for, from the one instance that was asked for them (C13).
 * @throws {HttpProblem} NOT_FOUND for a transfer that there is not, is not this instance's, or is over; SUPERSEDED
 */
export async function takeTransfer({ context, caller, req, params }: Call<{ readonly id: string }>): Promise<void> {
  const speaker = speakerOf(caller, req);
  const transfer = context.gateway.transfers.find(params.id);
  if (!transfer) throw nobodyWaits();
  await admitInstance(context.db.sql, speaker, transfer.instanceId).catch((error: unknown) => {
    throw isMaiaError(error) && error.code === "NOT_FOUND" ? nobodyWaits() : error;
  });
  refuseEncoding(req);
  await transfer.take(arrivalOf(req));
}

function arrivalOf(req: Call["req"]): Arrival {
  const problem = req.headers[TRANSFER_PROBLEM_HEADER];
  return typeof problem === "string" ? { problem: readable(problem) } : { req };
}

/** What a runner says is shown to people, so it is one short line. */
function readable(text: string): string {
  try {
    return decodeURIComponent(text)
      .replace(/\p{Cc}/gu, " ")
      .slice(0, PROBLEM_MAX)
      .toWellFormed();
  } catch {
    return "the runner does not say why";
  }
}
