import { readDependencies } from "./definition/dependencies.js";
import { checkGraph } from "./definition/graph.js";
import { readInputSpec } from "./definition/input-spec.js";
import { readOutputsSpec } from "./definition/outputs-spec.js";
import { readSteps } from "./definition/steps.js";
import { readDescription } from "./definition/texts.js";
import { readSecretNames, readVariables } from "./definition/variables.js";
import { isSlug } from "./names.js";
import { Reader } from "./reader.js";
import { DAY } from "./time.js";
import type { WorkflowSnapshot } from "./workflow-snapshot.js";

const FIELDS = [
  "name",
  "description",
  "inputSpec",
  "outputsSpec",
  "env",
  "secrets",
  "dependencies",
  "reuse",
  "timeoutMs",
  "queueTimeoutMs",
  "concurrency",
  "steps",
] as const;

/**
 * Reads a workflow's definition, fills in every default and checks every rule that needs no JSON Schema. A snapshot
 * read as a definition gives itself.
 * @throws {MaiaError} INVALID, RESERVED_KEY or CYCLE with an issue for each fault, pointers relative to the definition.
 */
export function parseDefinition(value: unknown): WorkflowSnapshot {
  return Reader.read(value, (root) => {
    const field = root.object(FIELDS);
    const steps = readSteps(field("steps"));
    checkGraph(field("steps"), steps);
    return {
      name: field("name").string(slugProblem),
      description: readDescription(field("description")),
      inputSpec: readInputSpec(field("inputSpec")),
      outputsSpec: readOutputsSpec(field("outputsSpec"), new Set(steps.map((step) => step.key))),
      env: readVariables(field("env")),
      secrets: readSecretNames(field("secrets")),
      dependencies: readDependencies(field("dependencies")),
      reuse: field("reuse").boolean(false),
      timeoutMs: readLimit(field("timeoutMs")),
      queueTimeoutMs: readLimit(field("queueTimeoutMs")),
      concurrency: field("concurrency").optionalInteger(1, 10_000),
      steps,
    };
  });
}

const LONGEST_MS = 366 * DAY;

/** A limit in milliseconds; none unless it is given. */
function readLimit(field: Reader): number | null {
  return field.isAbsent || field.isNull ? null : field.integer(1, LONGEST_MS);
}

/** What is wrong with the name of a workflow, or null. */
export function slugProblem(text: string): string | null {
  return isSlug(text) ? null : "must be 1 to 63 of a-z 0-9 -, beginning with a letter or digit";
}
