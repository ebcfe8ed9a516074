import { readDependencies } from "./definition/dependencies.js";
import { checkGraph } from "./definition/graph.js";
import { readInputSpec } from "./definition/input-spec.js";
import { readOutputsSpec } from "./definition/outputs-spec.js";
import { readSteps } from "./definition/steps.js";
import { readDescription } from "./definition/texts.js";
import { readSecretNames, readVariables } from "./definition/variables.js";
import { isSlug } from "./names.js";
import { Reader } from "./reader.js";
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
      steps,
    };
  });
}

function slugProblem(text: string): string | null {
  return isSlug(text) ? null : "must be 1 to 63 of a-z 0-9 -, beginning with a letter or digit";
}
