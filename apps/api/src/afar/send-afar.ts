import { createHash } from "node:crypto";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createRunnerCommand, forgetCommand, readInstance, readRooms } from "@maia/db";
import { chooseKeeper, MaiaError } from "@maia/domain";
import type { Upload } from "@maia/intake";
import type { ApiContext } from "../context.js";
import type { UploadedPart } from "../http/multipart.js";
import { outcomeWithin } from "../runners/command-outcome.js";
import { arrivalWithin, type Process } from "./arrival.js";

/** The instance that takes the files of a request into its store. */
export interface Keeper {
  readonly runnerId: string;
  readonly process: Process;
  readonly storeId: string;
}

/** Chooses who takes files for a job of a runner. @throws {MaiaError} RUNNER_NOT_CONNECTED */
export async function keeperOf({ db }: ApiContext, runnerId: string): Promise<Keeper> {
  const instance = chooseKeeper(await readRooms(db.sql, runnerId), { storeId: null });
  const process = instance && (await readInstance(db.sql, instance.id));
  if (process?.storeId) return { runnerId, process, storeId: process.storeId };
  const message =
    "The job's files stay at its runner (dataResidency), and no instance of it that keeps data is connected";
  throw new MaiaError("RUNNER_NOT_CONNECTED", `${message}; start one, and send them again`);
}

/**
 * Passes a file on to a runner's store while it comes in; nothing of it is kept here.
 * @throws {MaiaError} RUNNER_NOT_CONNECTED, TOO_LARGE, HASH_MISMATCH
 */
export async function sendAfar(
  context: ApiContext,
  keeper: Keeper,
  { name, mime, bytes }: UploadedPart,
  signal: AbortSignal,
): Promise<Upload> {
  const { db, gateway, config, clock, stopping } = context;
  const { runnerId, process, storeId } = keeper;
  const instanceId = process.id;
  const { transferWaitMs, streamIdleMs, uploadFileMax } = config.constants;
  const ended = AbortSignal.any([signal, stopping]);
  using transfer = gateway.transfers.open(instanceId, "take");
  const receive = {
    runnerId,
    instanceId,
    type: "RECEIVE" as const,
    data: { transferId: transfer.id, storeId, name, mime },
  };
  const commandId = await db.write((tx) => createRunnerCommand(tx, receive, clock()));
  try {
    const arrival = await arrivalWithin(context, transfer, process, transferWaitMs, ended);
    if (!arrival || !("res" in arrival)) throw notTaken(`did not come for it within ${transferWaitMs} ms`);
    const { res } = arrival;
    const digest = new Digest(uploadFileMax);
    res.writeHead(200, { "Content-Type": "application/octet-stream" });
    await pipeline(bytes, (source: Readable) => digest.through(source), res, { signal: ended });
    transfer.succeed();
    const outcome = await outcomeWithin(context, commandId, streamIdleMs, ended);
    return { name, ...takenAs(outcome?.result ?? null, digest), keptBy: { storeId, runnerId } };
  } finally {
    await db.write((tx) => forgetCommand(tx, commandId));
  }
}

/** What passes through: its hash and its size. */
class Digest {
  readonly #hash = createHash("sha256");
  sizeBytes = 0;
  sha256 = "";

  constructor(private readonly maxBytes: number) {}

  async *through(source: Readable): AsyncGenerator<Buffer> {
    for await (const chunk of source as AsyncIterable<Buffer>) {
      this.sizeBytes += chunk.length;
      if (this.sizeBytes > this.maxBytes)
        throw new MaiaError("TOO_LARGE", `The content is larger than ${this.maxBytes} bytes`);
      this.#hash.update(chunk);
      yield chunk;
    }
    this.sha256 = this.#hash.digest("hex");
  }
}

/** What the runner says that it has taken, where that is what was sent. */
function takenAs(text: string | null, { sha256, sizeBytes }: Digest): Pick<Upload, "sha256" | "sizeBytes" | "mime"> {
  const told = text === null ? {} : (JSON.parse(text) as { readonly [name: string]: unknown });
  if (typeof told.error === "string") throw notTaken(`could not keep it: ${told.error.slice(0, 500)}`);
  if (text === null) throw notTaken("did not say that it has kept it");
  if (told.sha256 !== sha256 || told.sizeBytes !== sizeBytes)
    throw new MaiaError("HASH_MISMATCH", "The runner has taken other bytes than were sent");
  const isMime = typeof told.mime === "string" && /^[\w.+-]{1,60}\/[\w.+-]{1,60}$/.test(told.mime);
  return { sha256, sizeBytes, mime: isMime ? (told.mime as string) : "application/octet-stream" };
}

function notTaken(why: string): MaiaError {
  return new MaiaError(
    "RUNNER_NOT_CONNECTED",
    `The file stays at the job's runner (dataResidency), which ${why}; send it again`,
  );
}
