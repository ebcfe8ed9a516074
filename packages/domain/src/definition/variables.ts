import { VARIABLES_MAX, variableNameProblem, variableValueProblem } from "../names.js";
import type { Reader } from "../reader.js";

/** A map of environment variables. */
export function readVariables(place: Reader): { [name: string]: string } {
  const variables: { [name: string]: string } = {};
  for (const [name, value] of place.entries(VARIABLES_MAX)) {
    const problem = variableNameProblem(name);
    if (problem) value.fail(problem);
    else variables[name] = value.string(variableValueProblem);
  }
  return variables;
}

/** A list of secrets by name. */
export function readSecretNames(place: Reader): string[] {
  const names = new Set<string>();
  for (const item of place.items(VARIABLES_MAX)) {
    const name = item.string(variableNameProblem);
    if (names.has(name)) item.fail(`${name} is listed twice`);
    else if (name !== "") names.add(name);
  }
  return [...names];
}
