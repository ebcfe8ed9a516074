import { isBlobKnown, type KeptBy, type Sql } from "@maia/db";
import {
  checkFiles,
  checkParamsReserved,
  type ErrorCode,
  type InputIssue,
  type InputSpec,
  invalid,
  type JsonObject,
  refineMime,
} from "@maia/domain";
import mimeTypes from "mime-types";
import type { Caller, IntakeContext } from "./context.js";
import type { JobRequest } from "./job-request.js";
import { type Resolved, resolveRequest } from "./resolve.js";

/** A file whose bytes have come. */
export interface Upload {
  readonly name: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly mime: string;
  /** The store of the job's runner that has the bytes; left out: Maia's blob store has. */
  readonly keptBy?: KeptBy;
}

/** A job that may be stored: everything that it names exists, and its input fits the workflow. */
export interface PreparedJob {
  readonly target: Resolved;
  readonly request: JobRequest;
  /** The params as JSON text, defaults filled in. */
  readonly params: string;
  readonly files: readonly Upload[];
}

/**
 * Checks a request against what it names.
 * @param uploads files whose bytes came with the request.
 * @throws {MaiaError} NOT_FOUND, NO_VERSION, INVALID, RESERVED_KEY, BLOB_UNKNOWN
 */
export async function prepareJob(
  { db, schemas }: IntakeContext,
  request: JobRequest,
  uploads: readonly Upload[],
  caller: Caller,
): Promise<PreparedJob> {
  const target = await resolveRequest(db.sql, request, caller);
  const params = await checkParams(schemas, target.inputSpec, request.params);
  const files = [...(await knownFiles(db.sql, caller, request)), ...uploads];
  refuse(uploadProblems(target, files));
  refuse(checkFiles(target.inputSpec, files, request.urlFiles));
  return { target, request, params, files };
}

/** What is wrong with files that Maia or another runner has, where the job's data is to be at its runner only. */
export function uploadProblems(
  { dataResidency, runnerId }: Pick<Resolved, "dataResidency" | "runnerId">,
  files: readonly { readonly name: string; readonly keptBy?: KeptBy }[],
): InputIssue[] {
  if (dataResidency === "maia" || files.every(({ keptBy }) => keptBy?.runnerId === runnerId)) return [];
  const message =
    "would be with Maia, and the job's environment keeps its data at the runner (dataResidency); send files as multipart, after " +
    "the part `request`, which passes them on to the runner, or name them in urlFiles, which it fetches itself";
  return [{ pointer: "/files", message }];
}

/** The params as JSON text, defaults filled in. @throws {MaiaError} INVALID, RESERVED_KEY */
export async function checkParams(
  schemas: IntakeContext["schemas"],
  spec: InputSpec | null,
  params: JsonObject,
): Promise<string> {
  refuse(checkParamsReserved(params), "RESERVED_KEY");
  if (!spec?.paramsSchema) return JSON.stringify(params);
  const { text, issues } = await schemas.validate(spec.paramsSchema, params);
  refuse(issues.map(({ pointer, message }) => ({ pointer: `/params${pointer}`, message })));
  return text;
}

/**
 * The files that were uploaded before, to any project that the caller may use.
 * @throws {MaiaError} BLOB_UNKNOWN
 */
export async function knownFiles(
  sql: Sql,
  { projects }: Caller,
  { files }: Pick<JobRequest, "files">,
): Promise<Upload[]> {
  const found: Upload[] = [];
  const unknown: InputIssue[] = [];
  for (const [index, { name, sha256 }] of files.entries()) {
    const text = `SELECT "sizeBytes", "mime" FROM "InputBlob" WHERE "sha256" = ?`;
    const isKnown = await isBlobKnown(sql, projects, sha256);
    const blob = isKnown ? await sql.get<{ sizeBytes: number; mime: string }>(text, sha256) : undefined;
    if (blob)
      found.push({
        name,
        sha256,
        sizeBytes: blob.sizeBytes,
        mime: refineMime(blob.mime, [mimeTypes.lookup(name) || null]),
      });
    else unknown.push(unknownBlob(index));
  }
  refuse(unknown, "BLOB_UNKNOWN");
  return found;
}

/** What to tell about a file whose bytes Maia does not have. */
export function unknownBlob(index: number): InputIssue {
  return { pointer: `/files/${index}/sha256`, message: "is not known here; upload it with PUT /v1/blobs first" };
}

function refuse(issues: readonly InputIssue[], code?: ErrorCode): void {
  if (issues.length > 0) throw invalid(issues, code);
}
