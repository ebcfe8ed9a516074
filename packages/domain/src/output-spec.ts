import type { Json, JsonObject } from "./canonical-json.js";

/** Which of its steps' data a workflow shows as its outputs. Version 1 is the only one. */
export interface OutputsSpec {
  readonly version: 1;
  readonly outputs: { readonly [name: string]: OutputRule };
}

export interface OutputRule {
  readonly stepKey: string;
  /** The member of the step's data; null takes the data whole. */
  readonly field: string | null;
  readonly title: string;
  readonly description: string;
}

/** The outputs of a run, from the data of its succeeded steps. What a step did not give is null. */
export function resolveOutputs(
  spec: OutputsSpec | null,
  dataByStep: ReadonlyMap<string, JsonObject>,
): { [name: string]: Json } {
  const outputs: { [name: string]: Json } = {};
  for (const [name, { stepKey, field }] of Object.entries(spec?.outputs ?? {})) {
    const data = dataByStep.get(stepKey) ?? null;
    outputs[name] = data === null || field === null ? data : Object.hasOwn(data, field) ? data[field]! : null;
  }
  return outputs;
}
