import { fileNameProblem, invalid, parseJsonStrictly } from "@maia/domain";
import {
  type BatchContext,
  type CreatedJob,
  createJob,
  type IntakeContext,
  parseJobRequest,
  type Upload,
} from "@maia/intake";
import { sniffMime } from "@maia/storage";
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

/** Stores a file while it comes in. @throws {MaiaError} INVALID, TOO_LARGE, STORAGE_FULL */
export async function keepUpload({ context }: Call, part: UploadedPart, signal: AbortSignal): Promise<Upload> {
  const problem = fileNameProblem(part.name);
  if (problem) throw invalid([{ pointer: "/files", message: `the name of a file ${problem}` }]);
  const { sha256, sizeBytes } = await context.blobs.put(part.bytes, {
    maxBytes: context.config.constants.uploadFileMax,
    signal,
  });
  const mime = await sniffMime(context.blobs.path(sha256), { declared: part.mime, name: part.name });
  return { name: part.name, sha256, sizeBytes, mime };
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
