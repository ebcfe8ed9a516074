import { textProblem } from "./names.js";
import type { Reader } from "./reader.js";

/** Longest message of a version, in characters. */
export const VERSION_MESSAGE_MAX = 5_000;

/** What is wrong with what somebody says about a version, or null. */
export function versionMessageProblem(text: string): string | null {
  return textProblem(text, VERSION_MESSAGE_MAX);
}

/** What a version's author says about it; empty where there is nothing to say. */
export function readVersionMessage(place: Reader): string {
  return place.optionalString(versionMessageProblem) ?? "";
}
