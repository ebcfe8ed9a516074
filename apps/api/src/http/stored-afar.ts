import type { Readable } from "node:stream";
import { createRunnerCommand, forgetCommand, type StoredAfar, storeHolders } from "@maia/db";
import { MaiaError } from "@maia/domain";
import type { ApiContext } from "../context.js";
import type { Transfer } from "../gateway/transfers.js";
import { HttpProblem } from "./problems.js";
import { steadily } from "./steadily.js";

/** The part that is asked for, up to and including `end`. */
export interface Part {
  readonly start: number;
  readonly end: number;
}

/** Bytes as they come from a runner; disposing it lets the runner stop. */
export interface Coming extends Disposable {
  readonly bytes: Readable;
  /** Says that all of them have been passed on. */
  succeed(): void;
}

/** So many instances that have the bytes are asked, one after the other, before it is given up. */
const TRIES = 2;

/**
 * Has a runner send bytes that are in its store, through its own connection. They pass through and are kept nowhere.
 * @throws {MaiaError} RUNNER_NOT_CONNECTED, CONTENT_GONE
 */
export async function fetchAfar(context: ApiContext, where: StoredAfar, part: Part): Promise<Coming> {
  const { db, config } = context;
  const holders = (await storeHolders(db.sql, where)).slice(0, TRIES);
  for (const { id } of holders) {
    const coming = await askInstance(context, id, where, part);
    if (coming) return coming;
    if (context.stopping.aborted) throw new HttpProblem("STOPPING", "This server stops; ask again");
  }
  const { runnerName, sizeBytes } = where;
  const what =
    holders.length === 0
      ? "and no instance of it that has them is connected; start one"
      : `and it did not begin to send them within ${config.constants.transferWaitMs} ms`;
  const message = `These ${sizeBytes} bytes are kept by the runner ${runnerName} (dataResidency), ${what}, and ask again`;
  throw new MaiaError("RUNNER_NOT_CONNECTED", message);
}

/** Asks an instance. Null: it said nothing in time. */
async function askInstance(
  context: ApiContext,
  instanceId: string,
  { runnerId, runnerName, storeId, sha256, sizeBytes }: StoredAfar,
  part: Part,
): Promise<Coming | null> {
  const { db, gateway, config, clock, stopping } = context;
  const { transferWaitMs, streamIdleMs } = config.constants;
  const transfer = gateway.transfers.open(instanceId);
  const data = { transferId: transfer.id, storeId, sha256, sizeBytes, ...part };
  const send = { runnerId, instanceId, type: "SEND" as const, data };
  const commandId = await db.write((tx) => createRunnerCommand(tx, send, clock()));
  const arrival = await arrivalWithin(transfer, transferWaitMs, stopping);
  await db.write((tx) => forgetCommand(tx, commandId));
  if (arrival && "req" in arrival) {
    const bytes = steadily(arrival.req, streamIdleMs);
    const stop = () => bytes.destroy(new HttpProblem("STOPPING", "This server stops"));
    stopping.addEventListener("abort", stop, { once: true });
    return {
      bytes,
      succeed: () => transfer.succeed(),
      [Symbol.dispose]: () => {
        stopping.removeEventListener("abort", stop);
        transfer[Symbol.dispose]();
        bytes.destroy();
      },
    };
  }
  transfer[Symbol.dispose]();
  if (arrival === null) return null;
  throw new MaiaError("CONTENT_GONE", `The runner ${runnerName} kept these bytes, and ${arrival.problem}`);
}

/** What comes within so long; null: nothing does. */
async function arrivalWithin(transfer: Transfer, withinMs: number, stopping: AbortSignal) {
  const late = Promise.withResolvers<null>();
  const timer = setTimeout(late.resolve, withinMs, null);
  const stop = () => late.resolve(null);
  stopping.addEventListener("abort", stop, { once: true });
  try {
    return await Promise.race([transfer.arrival, late.promise]);
  } finally {
    clearTimeout(timer);
    stopping.removeEventListener("abort", stop);
  }
}
