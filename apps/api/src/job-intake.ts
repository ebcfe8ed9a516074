import { fileNameProblem, invalid, parseJsonStrictly } from "@maia/domain";
import {
  type BatchContext,
  type CreatedJob,
  createJob,
  type IntakeContext,
  parseJobRequest,
  resolveRequest,
  type Upload,
} from "@maia/intake";
import { sniffMime } from "@maia/storage";
import { type Keeper, keeperOf, sendAfar } from "./afar/send-afar.js";
import type { ApiContext } from "./context.js";
import type { UploadedPart } from "./http/multipart.js";
import type { Call } from "./http/route.js";

/** What intake works with, taken from ours. */
export function intakeContext({ db, schemas, config }: ApiContext): IntakeContext {
  return { db, schemas, idempotencyTtlMs: config.constants.idempotencyTtlMs };
}

/** The same, with what batches need besides. */
export function batchContext(context: ApiContext): BatchContext {
  const { blobs, config } = context;
  const parseJson = (text: string) => parseJsonStrictly(text, config.body.depthMax);
  return { ...intakeContext(context), blobs, parseJson, itemsMax: config.constants.batchItemsMax };
}

/**
 * Takes the files of one request while they come in: into Maia's store, or, where the job's data stays at its runner, into
 * that one's, all into the same.
 */
export class UploadTaker {
  #keeper: Promise<Keeper> | null = null;
  /** What Maia did not have before, and when it came. */
  readonly #fresh: { readonly sha256: string; readonly at: Date }[] = [];

  constructor(private readonly call: Call) {}

  /** @throws {MaiaError} INVALID, TOO_LARGE, STORAGE_FULL, RUNNER_NOT_CONNECTED */
  async take(part: UploadedPart, signal: AbortSignal, request: Promise<unknown> | null): Promise<Upload> {
    const { call } = this;
    const problem = fileNameProblem(part.name);
    if (problem) throw invalid([{ pointer: "/files", message: `the name of a file ${problem}` }]);
    const runnerId = request && (await keepingRunner(call, await request));
    if (runnerId === null) return this.#keep(part, signal);
    this.#keeper ??= keeperOf(call.context, runnerId);
    return sendAfar(call.context, await this.#keeper, part, signal);
  }

  /** Removes what came with a request that is refused, unless somebody else has sent the same meanwhile. */
  async drop(): Promise<void> {
    for (const { sha256, at } of this.#fresh) await this.call.context.blobs.removeUnused(sha256, at);
  }

  async #keep(part: UploadedPart, signal: AbortSignal): Promise<Upload> {
    const { blobs, config } = this.call.context;
    const maxBytes = config.constants.uploadFileMax;
    const { sha256, sizeBytes, known } = await blobs.put(part.bytes, { maxBytes, signal });
    if (!known) this.#fresh.push({ sha256, at: new Date() });
    const mime = await sniffMime(blobs.path(sha256), { declared: part.mime, name: part.name });
    return { name: part.name, sha256, sizeBytes, mime };
  }
}

/** The runner at which the data of the job stays that is asked for; null: it comes to Maia. */
async function keepingRunner({ context, caller }: Call, request: unknown): Promise<string | null> {
  const who = { principal: caller.id, projects: caller.projects };
  const { dataResidency, runnerId } = await resolveRequest(context.db.sql, parseJobRequest(request), who);
  return dataResidency === "runner" ? runnerId : null;
}

/** Takes in a job that somebody asks for by hand. */
export function takeJob(
  call: Call,
  request: unknown,
  uploads: readonly Upload[],
  key: string | null,
): Promise<CreatedJob> {
  const { context, caller, now } = call;
  const who = { principal: caller.id, projects: caller.projects };
  const origin = { trigger: "manual" as const, idempotencyKey: key };
  return createJob(intakeContext(context), parseJobRequest(request), uploads, who, origin, now);
}
