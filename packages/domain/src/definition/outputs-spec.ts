import { isIdentifier } from "../names.js";
import type { OutputRule, OutputsSpec } from "../output-spec.js";
import type { Reader } from "../reader.js";
import { readDescription, readTitle } from "./texts.js";

/** Which steps' data are the workflow's outputs, or null where the definition does not say. */
export function readOutputsSpec(place: Reader, stepKeys: ReadonlySet<string>): OutputsSpec | null {
  if (place.isAbsent || place.isNull) return null;
  const field = place.object(["version", "outputs"]);
  field("version").oneOf([1], 1);
  const outputs: { [name: string]: OutputRule } = {};
  for (const [name, output] of field("outputs").entries(200)) {
    if (isIdentifier(name, 64)) outputs[name] = readOutput(output, stepKeys);
    else output.fail("the name of an output must be letters, digits and _, at most 64");
  }
  return { version: 1, outputs };
}

function readOutput(place: Reader, stepKeys: ReadonlySet<string>): OutputRule {
  const field = place.object(["stepKey", "field", "title", "description"]);
  return {
    stepKey: field("stepKey").string((key) =>
      stepKeys.has(key) ? null : `there is no step ${JSON.stringify(key.slice(0, 64))}`,
    ),
    field: field("field").optionalString((name) =>
      isIdentifier(name, 200) ? null : "must be letters, digits and _, at most 200",
    ),
    title: readTitle(field("title")),
    description: readDescription(field("description")),
  };
}
