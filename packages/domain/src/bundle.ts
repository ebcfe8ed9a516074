import { canonicalJson, type JsonObject, sha256Hex } from "./canonical-json.js";
import { parseDefinition } from "./definition.js";
import { depsHash, hasDependencies } from "./deps-hash.js";
import { below, invalid, type MaiaError } from "./errors.js";
import { isSha256, isSlug } from "./names.js";
import { Reader } from "./reader.js";
import { readVersionMessage } from "./version-message.js";
import type { WorkflowSnapshot } from "./workflow-snapshot.js";

/** What a bundle says that it is. The number grows when older Maias could no longer read it. */
export const BUNDLE_FORMAT = "maia.workflow/1";

/**
 * A version as a single file that goes from one Maia to another: the frozen snapshot with its scripts and schema, and the
 * lock of its dependencies, both with their hashes. The same version always gives the same file.
 */
export interface Bundle {
  readonly format: typeof BUNDLE_FORMAT;
  readonly workflow: string;
  readonly version: number;
  readonly message: string;
  /** RFC 3339. */
  readonly createdAt: string;
  readonly snapHash: string;
  readonly workflowSnap: JsonObject;
  readonly depsHash: string | null;
  readonly depsLock: string | null;
}

/** What a bundle brings. */
export interface Unpacked {
  readonly snapshot: WorkflowSnapshot;
  readonly depsLock: string | null;
  readonly message: string;
}

const FIELDS = [
  "format",
  "workflow",
  "version",
  "message",
  "createdAt",
  "snapHash",
  "workflowSnap",
  "depsHash",
  "depsLock",
] as const;

/**
 * Reads a bundle, and makes sure that nobody has changed it on the way.
 * @throws {MaiaError} INVALID, HASH_MISMATCH, and what `parseDefinition` throws; pointers are relative to the bundle.
 */
export function parseBundle(value: unknown): Unpacked {
  const bundle = Reader.read(value, (root) => {
    const field = root.object(FIELDS);
    const depsHash = field("depsHash");
    const depsLock = field("depsLock");
    return {
      format: field("format").oneOf([BUNDLE_FORMAT]),
      workflow: field("workflow").string((text) => (isSlug(text) ? null : "must be a workflow's name")),
      version: field("version").integer(1, 2 ** 31 - 1),
      message: readVersionMessage(field("message")),
      createdAt: field("createdAt").string(),
      snapHash: field("snapHash").string(hashProblem),
      workflowSnap: field("workflowSnap").jsonObject(),
      depsHash: depsHash.optionalString(hashProblem),
      depsLock: depsLock.optionalString(lockProblem),
    };
  });
  if (sha256Hex(canonicalJson(bundle.workflowSnap)) !== bundle.snapHash) {
    throw changed("/snapHash", "is not the hash of workflowSnap: the bundle was changed or damaged");
  }
  const snapshot = readSnapshot(bundle.workflowSnap);
  const { depsLock } = bundle;
  const expected = hasDependencies(snapshot.dependencies) ? depsHash(snapshot.dependencies, depsLock) : null;
  if (bundle.depsHash !== expected) {
    throw changed("/depsHash", "is not the hash of the dependencies and their lock: the bundle was changed or damaged");
  }
  return { snapshot, depsLock, message: bundle.message };
}

function readSnapshot(workflowSnap: JsonObject): WorkflowSnapshot {
  try {
    return parseDefinition(workflowSnap);
  } catch (error) {
    throw below("/workflowSnap", error);
  }
}

function changed(pointer: string, message: string): MaiaError {
  return invalid([{ pointer, message }], "HASH_MISMATCH");
}

function hashProblem(text: string): string | null {
  return isSha256(text) ? null : "must be 64 lower-case hexadecimal digits";
}

function lockProblem(text: string): string | null {
  try {
    JSON.parse(text);
    return null;
  } catch {
    return "must be the text of a lock, which is JSON";
  }
}
