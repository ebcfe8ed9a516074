import { isMaiaError, parseJsonStrictly } from "@maia/domain";
import { outputProblem } from "@maia/runner-protocol";
import type { SlotView } from "../slot-view.js";
import { NotTaken, openGuarded } from "./guard.js";

const ERROR_MAX_BYTES = 64 * 1024;
/** As deep as anything in Maia nests; `outputProblem` says it in the output's own words. */
export const DEEPEST = 1_000;
const MESSAGE_MAX_CHARS = 2_000;

export type Output = { readonly data: { readonly [key: string]: unknown } } | { readonly invalid: string };

/** What a step that ended well gives back. Null: it has written nothing. */
export function readOutput(host: SlotView, outputMax: number): Output | null {
  try {
    using file = openGuarded(host.output, host.work, outputMax);
    const text = file.text();
    return text.trim() === "" ? { data: {} } : parseOutput(text);
  } catch (error) {
    if (!(error instanceof NotTaken)) throw error;
    if (error.message === "does not exist") return null;
    return { invalid: `the output ${error.message}` };
  }
}

/** Reads output that came as text. */
export function parseOutput(text: string): Output {
  try {
    const data = parseJsonStrictly(text, DEEPEST, "the output");
    if (!isObject(data))
      return { invalid: `the output is ${Array.isArray(data) ? "an array" : `a ${typeof data}`} and not an object` };
    const problem = outputProblem(data);
    return problem === null ? { data } : { invalid: `the output ${problem}` };
  } catch (error) {
    if (isMaiaError(error) && error.code !== "BAD_JSON") return { invalid: `the output is refused: ${error.message}` };
    return { invalid: isMaiaError(error) ? error.message : `the output is no JSON: ${(error as Error).message}` };
  }
}

export interface StepError {
  readonly code?: "OUTPUT_INVALID" | "OUT_OF_MEMORY";
  readonly message: string;
}

/** What a step's process told of its failure; null when it told nothing. */
export function readStepError(host: SlotView): StepError | null {
  try {
    using file = openGuarded(host.error, host.work, ERROR_MAX_BYTES);
    return checkStepError(JSON.parse(file.text()));
  } catch {
    return null;
  }
}

/** Takes from a told failure what may be shown. */
export function checkStepError(told: unknown): StepError | null {
  if (!isObject(told) || typeof told.message !== "string") return null;
  const message = told.message.slice(0, MESSAGE_MAX_CHARS).toWellFormed();
  const { code } = told;
  return code === "OUTPUT_INVALID" || code === "OUT_OF_MEMORY" ? { code, message } : { message };
}

function isObject(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
