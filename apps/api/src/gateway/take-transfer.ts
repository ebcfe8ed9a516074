import { isMaiaError } from "@maia/domain";
import { TRANSFER_PROBLEM_HEADER } from "@maia/runner-protocol";
import { refuseEncoding } from "../http/body.js";
import type { Call } from "../http/route.js";
import { admitInstance, speakerOf } from "./admission.js";
import { type Arrival, type Direction, nobodyWaits, type Transfer } from "./transfers.js";

const PROBLEM_MAX = 500;

type TransferCall = Call<{ readonly id: string }>;

/** Takes bytes that somebody waits for, from the one instance that was asked for them (C13). @throws as `admit` does. */
export async function takeTransfer(call: TransferCall): Promise<void> {
  const transfer = await admit(call, "bring");
  refuseEncoding(call.req);
  await transfer.meet(arrivalOf(call.req));
}

/** Gives bytes that somebody sends to the one instance that is to have them (C13). @throws as `admit` does. */
export async function giveTransfer(call: TransferCall): Promise<undefined> {
  if (call.req.method !== "GET") throw nobodyWaits(); // a HEAD would take what it does not get
  const transfer = await admit(call, "take");
  await transfer.meet({ res: call.res });
}

/** @throws {HttpProblem} NOT_FOUND for a transfer that there is not, is not this instance's, or is over; SUPERSEDED */
async function admit({ context, caller, req, params }: TransferCall, direction: Direction): Promise<Transfer> {
  const speaker = speakerOf(caller, req);
  const transfer = context.gateway.transfers.find(params.id);
  if (transfer?.direction !== direction) throw nobodyWaits();
  await admitInstance(context.db.sql, speaker, transfer.instanceId).catch((error: unknown) => {
    throw isMaiaError(error) && error.code === "NOT_FOUND" ? nobodyWaits() : error;
  });
  return transfer;
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
