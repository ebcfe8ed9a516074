import type { Readable } from "node:stream";
import { createRunnerCommand, forgetCommand, type StoredAfar, storeHolders } from "@maia/db";
import { MaiaError } from "@maia/domain";
import type { ApiContext } from "../context.js";
import { HttpProblem } from "../http/problems.js";
import { steadily } from "../http/steadily.js";
import { arrivalWithin, type Process } from "./arrival.js";

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

/** So many processes that have the bytes are asked, one after the other, before it is given up. */
const TRIES = 3;

/**
 * Has a runner send bytes that are in its store, through its own connection. They pass through and are kept nowhere.
 * @throws {MaiaError} RUNNER_NOT_CONNECTED, CONTENT_GONE
 */
export async function fetchAfar(context: ApiContext, where: StoredAfar, part: Part): Promise<Coming> {
  const { db, config } = context;
  const asked = new Set<string>();
  while (asked.size < TRIES) {
    const holders = await storeHolders(db.sql, where);
    const next = holders.find(({ id, generation }) => !asked.has(`${id} ${generation}`));
    if (!next) break;
    asked.add(`${next.id} ${next.generation}`);
    const coming = await askProcess(context, next, where, part);
    if (coming) return coming;
    if (context.stopping.aborted) throw new HttpProblem("STOPPING", "This server stops; ask again");
  }
  const { runnerName, sizeBytes } = where;
  const what =
    asked.size === 0
      ? "and no instance of it that has them is connected; start one, and ask again"
      : `and it did not begin to send them within ${config.constants.transferWaitMs} ms; ask again`;
  const message = `These ${sizeBytes} bytes are kept by the runner ${runnerName} (dataResidency), ${what}`;
  throw new MaiaError("RUNNER_NOT_CONNECTED", message);
}

/** Asks a process of the runner. Null: it said nothing in time, or is gone. */
async function askProcess(
  context: ApiContext,
  process: Process,
  { runnerId, runnerName, storeId, sha256, sizeBytes }: StoredAfar,
  part: Part,
): Promise<Coming | null> {
  const { db, gateway, config, clock, stopping } = context;
  const { transferWaitMs, streamIdleMs } = config.constants;
  const instanceId = process.id;
  const transfer = gateway.transfers.open(instanceId, "bring");
  const data = { transferId: transfer.id, storeId, sha256, sizeBytes, ...part };
  const send = { runnerId, instanceId, type: "SEND" as const, data };
  const commandId = await db.write((tx) => createRunnerCommand(tx, send, clock()));
  const arrival = await arrivalWithin(context, transfer, process, transferWaitMs, stopping);
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
  if (arrival === null || "res" in arrival) return null;
  throw new MaiaError("CONTENT_GONE", `The runner ${runnerName} kept these bytes, and ${arrival.problem}`);
}
