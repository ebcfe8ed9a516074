import { parseDefinition } from "../src/definition.js";
import type { ErrorCode, MaiaError } from "../src/errors.js";

/** The smallest workflow there is. */
export const minimal = { name: "hello", steps: [{ key: "say", script: "export default () => ({})" }] };

/** The same, with more in its step. */
export function withStep(step: object) {
  return { ...minimal, steps: [{ ...minimal.steps[0], ...step }] };
}

/** Steps from lines such as "b: a, c", each key with the steps that it waits for. */
export function graph(...lines: string[]) {
  const steps = lines.map((line) => {
    const [key = "", deps = ""] = line.split(":").map((part) => part.trim());
    return { key, script: "true", deps: deps === "" ? [] : deps.split(", ") };
  });
  return { name: "graph", steps };
}

/** Why a definition is refused: the code, and each message by its pointer. */
export function refusal(definition: unknown): { code: ErrorCode; issues: Record<string, string> } {
  try {
    parseDefinition(definition);
  } catch (error) {
    const { code, issues } = error as MaiaError;
    return { code, issues: Object.fromEntries(issues.map(({ pointer, message }) => [pointer, message])) };
  }
  throw new Error("the definition was accepted");
}
