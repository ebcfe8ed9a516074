import { artifactNameProblem, isStepKey, nameProblem } from "../names.js";
import type { Reader } from "../reader.js";
import { DEFAULT_RETRY, type RetryPolicy } from "../retry.js";
import { DAY } from "../time.js";
import type { StepLimits, StepSnapshot } from "../workflow-snapshot.js";
import { readSecretNames } from "./variables.js";

const STEPS_MAX = 10_000;
const ARTIFACTS_MAX = 1_000;
/** Largest script, in bytes. */
const SCRIPT_MAX_BYTES = 1024 * 1024;
const TIMEOUT_DEFAULT_MS = 600_000;
const WEEK = 7 * DAY;

const FIELDS = [
  "key",
  "name",
  "runtime",
  "script",
  "deps",
  "artifacts",
  "secrets",
  "timeoutMs",
  "retry",
  "transaction",
  "rollback",
  "limits",
] as const;

const HINTS = { file: "is read by `maia apply`, which sends the file's text as script; the API takes script alone" };

/** The steps one by one; how they hang together is checked afterwards. */
export function readSteps(place: Reader): StepSnapshot[] {
  const items = place.items(STEPS_MAX);
  if (items.length === 0 && (place.isAbsent || Array.isArray(place.value))) place.fail("must have at least one step");
  return items.map(readStep);
}

function readStep(place: Reader): StepSnapshot {
  const field = place.object(FIELDS, HINTS);
  const key = field("key").string(keyProblem);
  return {
    key,
    name: field("name").optionalString((text) => nameProblem(text, 200)) ?? key,
    runtime: field("runtime").oneOf(["node", "python", "shell"], "node"),
    script: field("script").string(scriptProblem),
    deps: field("deps")
      .items(STEPS_MAX)
      .map((dep) => dep.string()),
    artifacts: field("artifacts").items(ARTIFACTS_MAX).map(readArtifact),
    secrets: readSecretNames(field("secrets")),
    timeoutMs: field("timeoutMs").integer(1, WEEK, TIMEOUT_DEFAULT_MS),
    retry: readRetry(field("retry")),
    transaction: field("transaction").optionalString(keyProblem),
    rollback: field("rollback").boolean(false),
    limits: readLimits(field("limits")),
  };
}

/** Less memory than this, and no interpreter begins. */
const MEMORY_MIN_BYTES = 32 * 1024 * 1024;
const MEMORY_MAX_BYTES = 1024 ** 4;

function readLimits(place: Reader): StepLimits | null {
  if (place.isAbsent || place.isNull) return null;
  const field = place.object(["memoryBytes", "processes", "cpuMs"]);
  return {
    memoryBytes: field("memoryBytes").optionalInteger(MEMORY_MIN_BYTES, MEMORY_MAX_BYTES),
    processes: field("processes").optionalInteger(8, 100_000),
    cpuMs: field("cpuMs").optionalInteger(1_000, WEEK),
  };
}

function readArtifact(place: Reader) {
  const field = place.object(["from", "name"]);
  return { from: field("from").string(), name: field("name").string(artifactNameProblem) };
}

function readRetry(place: Reader): RetryPolicy {
  if (place.isAbsent) return DEFAULT_RETRY;
  const field = place.object(["maxAttempts", "backoffMs", "multiplier", "maxBackoffMs", "jitter"]);
  const backoffMs = field("backoffMs").integer(0, DAY, DEFAULT_RETRY.backoffMs);
  const maxBackoffMs = field("maxBackoffMs").integer(0, WEEK, Math.max(backoffMs, DEFAULT_RETRY.maxBackoffMs));
  if (maxBackoffMs < backoffMs) field("maxBackoffMs").fail(`must not be less than backoffMs (${backoffMs})`);
  return {
    maxAttempts: field("maxAttempts").integer(1, 100, DEFAULT_RETRY.maxAttempts),
    backoffMs,
    multiplier: field("multiplier").number(1, 100, DEFAULT_RETRY.multiplier),
    maxBackoffMs,
    jitter: field("jitter").number(0, 1, DEFAULT_RETRY.jitter),
  };
}

function keyProblem(text: string): string | null {
  return isStepKey(text)
    ? null
    : "must be 1 to 63 of a-z 0-9 _ -, beginning with no -, and no word that JavaScript reserves";
}

function scriptProblem(text: string): string | null {
  if (text.trim() === "") return "must not be empty";
  if (!text.isWellFormed()) return "must be well-formed Unicode";
  if (text.includes("\0")) return "must not hold NUL";
  const tooLong = text.length > SCRIPT_MAX_BYTES || Buffer.byteLength(text) > SCRIPT_MAX_BYTES;
  return tooLong ? `must have at most ${SCRIPT_MAX_BYTES} bytes` : null;
}
