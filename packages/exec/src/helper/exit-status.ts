import { constants } from "node:os";
import type { EndReason } from "../messages.js";
import { abortedForMemory } from "./out-of-memory.js";

export interface ExitStatus {
  readonly exitCode: number | null;
  readonly signal: string | null;
}

/** Of two names for one signal the first counts, which is the one that everybody uses: SIGABRT and not SIGIOT. */
const SIGNAL_NAMES = new Map(
  Object.entries(constants.signals)
    .map(([name, number]) => [number, name] as const)
    .reverse(),
);

/**
 * How a process ended. The keeper of a namespace tells of a signal as shells do, by a code above 128, so that there a
 * code that a signal could have left is read as that signal.
 */
export function exitStatus(tree: "namespace" | "group", code: number | null, signal: string | null): ExitStatus {
  const told = tree === "namespace" && code !== null && code > 128 ? SIGNAL_NAMES.get(code - 128) : undefined;
  return told ? { exitCode: null, signal: told } : { exitCode: code, signal };
}

/** Why an attempt ended whose process was not asked to. */
export function judgeExit(status: ExitStatus, lastLines: readonly string[], killedForMemory: boolean): EndReason {
  if (abortedForMemory(lastLines, status.signal)) return "oom";
  return status.signal === "SIGKILL" && killedForMemory ? "oom" : "exited";
}
