import { nameProblem, textProblem } from "../names.js";
import type { Reader } from "../reader.js";

/** A heading for people; empty where there is none. */
export function readTitle(place: Reader): string {
  return place.optionalString((text) => (text === "" ? null : nameProblem(text, 200))) ?? "";
}

/** A text for people; empty where there is none. */
export function readDescription(place: Reader): string {
  return place.optionalString((text) => textProblem(text, 4_000)) ?? "";
}
