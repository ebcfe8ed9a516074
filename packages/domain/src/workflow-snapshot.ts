import { canonicalJson, type JsonObject, sha256Hex } from "./canonical-json.js";
import type { Dependencies } from "./deps-hash.js";
import { MaiaError } from "./errors.js";
import type { InputSpec } from "./input-spec.js";
import type { OutputsSpec } from "./output-spec.js";
import type { RetryPolicy } from "./retry.js";

export type Runtime = "node" | "python" | "shell";

export interface StepSnapshot {
  readonly key: string;
  readonly name: string;
  readonly runtime: Runtime;
  /** The script's text. */
  readonly script: string;
  readonly deps: readonly string[];
  readonly artifacts: readonly { readonly from: string; readonly name: string }[];
  readonly secrets: readonly string[];
  readonly timeoutMs: number;
  readonly retry: RetryPolicy;
  readonly transaction: string | null;
  readonly rollback: boolean;
  /** Null: none of its own. Snapshots from before there were any have no field. */
  readonly limits?: StepLimits | null;
}

/** What a step may use, each at least as much as one process needs to begin; null: as much as Maia allows. */
export interface StepLimits {
  /** Memory of each of its processes. */
  readonly memoryBytes: number | null;
  /** How many processes it may have at once. */
  readonly processes: number | null;
  /** CPU time of each of its processes. */
  readonly cpuMs: number | null;
}

/** A workflow as it was published, frozen, with every default filled in. Its hash is `snapHash`. */
export interface WorkflowSnapshot {
  readonly name: string;
  readonly description: string;
  readonly inputSpec: InputSpec | null;
  readonly outputsSpec: OutputsSpec | null;
  readonly env: { readonly [key: string]: string };
  readonly secrets: readonly string[];
  readonly dependencies: Dependencies;
  readonly reuse: boolean;
  /** How long a run may take from its claim to its end, in milliseconds; null: as long as its steps may. */
  readonly timeoutMs: number | null;
  /** How long a job may wait for an engine, in milliseconds; null: for ever. */
  readonly queueTimeoutMs: number | null;
  /** How many steps of a run may go on at once; null: as many as are ready. Absent in older snapshots. */
  readonly concurrency?: number | null;
  readonly steps: readonly StepSnapshot[];
}

/** A snapshot from the text that it was stored as. @throws {MaiaError} VERSION_CORRUPT where the text was damaged. */
export function storedSnapshot(text: string): WorkflowSnapshot & JsonObject {
  const snapshot = parsedOrNull(text);
  if (Array.isArray(snapshot?.steps)) return snapshot;
  const message = "What is stored of the version was damaged: restore the database from a backup, or publish it anew";
  throw new MaiaError("VERSION_CORRUPT", message);
}

function parsedOrNull(text: string): (WorkflowSnapshot & JsonObject) | null {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The hash that names a snapshot: SHA-256 of its canonical JSON. */
export function snapHash(snapshot: WorkflowSnapshot): string {
  return sha256Hex(canonicalJson(snapshot));
}
